import type { ResponseInputOf } from '#formats/kafka/apis.ts'
import { configTypes, type ShownConfig } from '../topic-configs.ts'

/** Where the value of a setting comes from. https://kafka.apache.org/protocol.html#The_Messages_DescribeConfigs */
export const configSources = { topic: 1, broker: 4, default: 5 } as const

type ConfigEntry = ResponseInputOf<'describeConfigs'>['results'][number]['configs'][number]
type Detail = { readonly includeSynonyms: boolean; readonly includeDocumentation: boolean }

export function configSourceOf({ isDefault }: Pick<ShownConfig, 'isDefault'>): number {
  return isDefault ? configSources.default : configSources.topic
}

/** A setting as DescribeConfigs tells it. */
export function configEntry(
  shown: ShownConfig,
  source: number,
  { isReadOnly, ...detail }: Detail & { isReadOnly: boolean },
): ConfigEntry {
  const { name, value } = shown
  return {
    name,
    value,
    readOnly: isReadOnly,
    isDefault: shown.isDefault,
    configSource: source,
    isSensitive: false,
    synonyms: detail.includeSynonyms ? [{ name, value, source }] : [],
    configType: configTypes[shown.type],
    documentation: detail.includeDocumentation ? shown.documentation : null,
  }
}
