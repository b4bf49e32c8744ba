import type { RequestOf, ResponseInputOf } from '#formats/kafka/apis.ts'
import type { TopicConfig } from '#eventlog/topic-config.ts'
import { AppError } from '#lib/errors.ts'
import { clusterName } from '../authorizer.ts'
import type { Call, Fault } from '../call.ts'
import { kafkaErrors } from '../error-codes.ts'
import type { Handler } from '../handler.ts'
import {
  isListConfig,
  parseTopicConfig,
  parseWholeTopicConfig,
  showTopicConfig,
  type AskedConfig,
  type ShownConfig,
} from '../topic-configs.ts'
import { configEntry, configSourceOf, configSources } from './config-entry.ts'

const topicResource = 2
const brokerResource = 4
const done = { errorCode: kafkaErrors.NONE, errorMessage: null }

type AskedResource = RequestOf<'describeConfigs'>['resources'][number]
type Described = ResponseInputOf<'describeConfigs'>['results'][number]
type Detail = Pick<RequestOf<'describeConfigs'>, 'includeSynonyms' | 'includeDocumentation'>

/** Settings of topics, and a few of the broker. */
export const describeConfigs: Handler<'describeConfigs'> = ({ resources, ...detail }, call) => ({
  throttleTimeMs: 0,
  results: resources.map(({ resourceType, resourceName, configurationKeys }) => {
    const answer = describe(call, { resourceType, resourceName, configurationKeys }, detail)
    return { resourceType, resourceName, ...answer }
  }),
})

function describe(call: Call, asked: AskedResource, detail: Detail): Omit<Described, 'resourceType' | 'resourceName'> {
  const { resourceType, resourceName: name, configurationKeys: names } = asked
  const isAsked = (shown: ShownConfig): boolean => names === null || names.includes(shown.name)
  if (resourceType === topicResource) {
    if (!call.isAllowed('describe-configs', 'topic', name)) {
      return { ...call.refusal('TOPIC_AUTHORIZATION_FAILED', `you may not see the settings of topic "${name}"`), configs: [] }
    }
    const topic = call.context.hub.topics.find(name)
    if (!topic) return { ...call.refusal('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic "${name}"`), configs: [] }
    const shown = showTopicConfig(topic.config).filter(isAsked)
    return { ...done, configs: shown.map((one) => configEntry(one, configSourceOf(one), { ...detail, isReadOnly: false })) }
  }
  if (resourceType !== brokerResource) return { ...unknownResource(call, resourceType), configs: [] }
  if (!call.isAllowed('describe-configs', 'cluster', clusterName)) {
    return { ...call.refusal('CLUSTER_AUTHORIZATION_FAILED', 'you may not see the settings of the broker'), configs: [] }
  }
  if (name !== '' && name !== String(call.context.hub.nodeId)) {
    return {
      ...call.refusal('INVALID_REQUEST', `there is no broker ${name.slice(0, 20)}; this one is ${call.context.hub.nodeId}`),
      configs: [],
    }
  }
  const shown = brokerConfigs(call).filter(isAsked)
  return { ...done, configs: shown.map((one) => configEntry(one, configSources.broker, { ...detail, isReadOnly: true })) }
}

function brokerConfigs({ context, client }: Call): ShownConfig[] {
  const { settings, hub, isAutoCreating } = context
  const { host, port } = client.endpoint
  const say = (
    name: string,
    value: string | number | boolean,
    type: ShownConfig['type'],
    documentation: string,
  ): ShownConfig => ({
    name,
    value: String(value),
    isDefault: false,
    type,
    documentation,
  })
  return [
    say('advertised.listeners', `PLAINTEXT://${host}:${port}`, 'string', 'What this client is told to connect to.'),
    say(
      'auto.create.topics.enable',
      isAutoCreating,
      'boolean',
      'Topics are made when a client asks for them: log.autoCreateTopics.',
    ),
    say('broker.id', hub.nodeId, 'int', 'The id of this node.'),
    say('connections.max.idle.ms', Math.round(settings.idleSeconds * 1000), 'long', 'kafka.idleSeconds.'),
    say('default.replication.factor', 1, 'int', 'There are no replicas.'),
    say('max.connections', settings.maxConnections, 'int', 'kafka.maxConnections.'),
    say('socket.request.max.bytes', settings.maxFrameBytes, 'int', 'kafka.maxFrameBytes.'),
  ]
}

type Altered = ResponseInputOf<'alterConfigs'>['responses'][number]
type ResourceRef = Pick<AskedResource, 'resourceType' | 'resourceName'>
/** The settings that should hold; throws `TOPIC_INVALID`. */
type Change = (config: TopicConfig) => Partial<TopicConfig>

/** Sets all settings of topics: what is not said goes back to its default. */
export const alterConfigs: Handler<'alterConfigs'> = async ({ resources, validateOnly }, call) => {
  const responses: Altered[] = []
  for (const resource of resources) {
    responses.push(await alter(call, resource, { validateOnly, change: () => parseWholeTopicConfig(resource.configs) }))
  }
  return { throttleTimeMs: 0, responses }
}

/** Changes single settings of topics. */
export const incrementalAlterConfigs: Handler<'incrementalAlterConfigs'> = async ({ resources, validateOnly }, call) => {
  const responses: Altered[] = []
  for (const resource of resources) {
    responses.push(
      await alter(call, resource, {
        validateOnly,
        change: (config) => parseTopicConfig(resource.configs.map((one) => asSet(config, one))),
      }),
    )
  }
  return { throttleTimeMs: 0, responses }
}

async function alter(
  call: Call,
  { resourceType, resourceName: name }: ResourceRef,
  { validateOnly, change }: { validateOnly: boolean; change: Change },
): Promise<Altered> {
  const resource = { resourceType, resourceName: name }
  if (resourceType === brokerResource) {
    const message = 'settings of the broker are in the configuration file; change them there'
    return { ...resource, ...call.refusal('INVALID_REQUEST', message) }
  }
  if (resourceType !== topicResource) return { ...resource, ...unknownResource(call, resourceType) }
  if (!call.isAllowed('alter-configs', 'topic', name)) {
    return { ...resource, ...call.refusal('TOPIC_AUTHORIZATION_FAILED', `you may not change the settings of topic "${name}"`) }
  }
  try {
    const { topics } = call.context.hub
    const topic = topics.find(name)
    if (!topic) throw new AppError('TOPIC_NOT_FOUND', `there is no topic "${name}"; create it first`)
    const changes = change(topic.config)
    if (!validateOnly) await topics.configure(name, changes)
    return { ...resource, ...done }
  } catch (thrown) {
    return { ...resource, ...call.fault(thrown, { TOPIC_INVALID: 'INVALID_CONFIG' }) }
  }
}

type IncrementalConfig = RequestOf<'incrementalAlterConfigs'>['resources'][number]['configs'][number]
const configOperations = { set: 0, delete: 1, append: 2, subtract: 3 } as const

/** What the change comes to. */
function asSet(config: TopicConfig, { name, configOperation, value }: IncrementalConfig): AskedConfig {
  switch (configOperation) {
    case configOperations.set:
      return { name, value: value ?? '' }
    case configOperations.delete:
      return { name, value: null }
    case configOperations.append:
    case configOperations.subtract: {
      if (!isListConfig(name)) throw new AppError('TOPIC_INVALID', `${name.slice(0, 100)} is not a list; set it instead`)
      const before = listOf(showTopicConfig(config).find((shown) => shown.name === name)?.value ?? '')
      const named = listOf(value ?? '')
      const others = before.filter((one) => !named.includes(one))
      return { name, value: (configOperation === configOperations.append ? [...others, ...named] : others).join(',') }
    }
    default:
      throw new AppError('TOPIC_INVALID', `there is no operation ${configOperation} on settings; use 0 to 3`)
  }
}

function listOf(text: string): string[] {
  return text.split(',').filter((one) => one !== '')
}

function unknownResource(call: Call, resourceType: number): Fault {
  return call.refusal('INVALID_REQUEST', `resources of type ${resourceType} have no settings; topics (2) and brokers (4) do`)
}
