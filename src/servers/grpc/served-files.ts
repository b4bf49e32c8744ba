import { healthFile } from '#formats/protobuf/schemas/health-v1.ts'
import { logFile } from '#formats/protobuf/schemas/log-v1.ts'
import { reflectionAlphaFile, reflectionFile } from '#formats/protobuf/schemas/reflection.ts'
import type { ProtoFile } from '#formats/protobuf/service.ts'

/** What this server speaks. */
export const servedFiles: readonly ProtoFile[] = [logFile, healthFile, reflectionFile, reflectionAlphaFile]

/** Full names of the services of a file. */
export function serviceNamesOf(file: ProtoFile): string[] {
  return file.services.map(({ name }) => `${file.package}.${name}`)
}
