import { healthFile, healthService } from '#formats/protobuf/schemas/health-v1.ts'
import { logFile, logService } from '#formats/protobuf/schemas/log-v1.ts'
import { reflectionAlphaFile, reflectionFile, reflectionService } from '#formats/protobuf/schemas/reflection.ts'
import type { ProtoFile, Service } from '#formats/protobuf/service.ts'
import { consume } from './handlers/consume.ts'
import { fetch } from './handlers/fetch.ts'
import { commitOffsets, committedOffsets, listGroups } from './handlers/groups.ts'
import { checkHealth, watchHealth } from './handlers/health.ts'
import { produceStream } from './handlers/produce-stream.ts'
import { produce } from './handlers/produce.ts'
import { reflect } from './handlers/reflection.ts'
import { createTopic, deleteTopic, describeTopic, listTopics } from './handlers/topics.ts'
import { bidirectionalRoute, serverStreamRoute, unaryRoute, type Route } from './route.ts'

type RoutesOf<S extends Service> = { readonly [Name in keyof S['methods']]: Route }

const log = logService.methods
/** A reader may keep offsets: it could not read on otherwise. */
const logRoutes: RoutesOf<typeof logService> = {
  Produce: unaryRoute(log.Produce, 'change', produce),
  ProduceStream: bidirectionalRoute(log.ProduceStream, 'change', produceStream),
  Consume: serverStreamRoute(log.Consume, 'read', consume),
  Fetch: unaryRoute(log.Fetch, 'read', fetch),
  ListTopics: unaryRoute(log.ListTopics, 'read', listTopics),
  DescribeTopic: unaryRoute(log.DescribeTopic, 'read', describeTopic),
  CreateTopic: unaryRoute(log.CreateTopic, 'change', createTopic),
  DeleteTopic: unaryRoute(log.DeleteTopic, 'change', deleteTopic),
  CommitOffsets: unaryRoute(log.CommitOffsets, 'read', commitOffsets),
  CommittedOffsets: unaryRoute(log.CommittedOffsets, 'read', committedOffsets),
  ListGroups: unaryRoute(log.ListGroups, 'read', listGroups),
}

const health = healthService.methods
/** Probes have no credentials. */
const healthRoutes: RoutesOf<typeof healthService> = {
  Check: unaryRoute(health.Check, 'none', checkHealth),
  Watch: serverStreamRoute(health.Watch, 'none', watchHealth),
}

/** The schema is no secret. */
const reflectionRoutes: RoutesOf<typeof reflectionService> = {
  ServerReflectionInfo: bidirectionalRoute(reflectionService.methods.ServerReflectionInfo, 'none', reflect),
}

/** Every method by its path. */
export const routes: ReadonlyMap<string, Route> = new Map([
  ...pathsOf(logFile, logService, logRoutes),
  ...pathsOf(healthFile, healthService, healthRoutes),
  ...pathsOf(reflectionFile, reflectionService, reflectionRoutes),
  ...pathsOf(reflectionAlphaFile, reflectionService, reflectionRoutes),
])

function pathsOf(file: ProtoFile, service: Service, byName: Readonly<Record<string, Route>>): [string, Route][] {
  return Object.entries(byName).map(([name, route]) => [`/${file.package}.${service.name}/${name}`, route])
}
