import { onMounted, type Ref, ref } from 'vue'
import { loadSettings } from '../api.ts'

/** Where and as whom programs reach the event log. */
export type ClientAddresses = {
  /** `192.0.2.1:9092`; undefined when Kafka clients are not served. */
  readonly kafka: string | undefined
  readonly http: string
  /** There are users: clients have to say who they are. */
  readonly needsPassword: boolean
}

const usualKafkaPort = 9092

/** The addresses of this server; until they are known, and without an answer, the usual ones. */
export function useClientAddresses(): Ref<ClientAddresses> {
  const addresses = ref(addressesOf(new Map()))
  onMounted(async () => {
    addresses.value = addressesOf(await loadSettings().catch(() => new Map()))
  })
  return addresses
}

function addressesOf(settings: ReadonlyMap<string, unknown>): ClientAddresses {
  const host = settings.get('kafka.advertisedHost')
  const ports = [settings.get('kafka.advertisedPort'), settings.get('kafka.port')]
  const port = ports.find(isPort) ?? usualKafkaPort
  return {
    kafka: settings.get('kafka.enabled') === false ? undefined : `${typeof host === 'string' ? host : location.hostname}:${port}`,
    http: location.origin,
    needsPassword: [...settings.keys()].some((key) => key.startsWith('users[')),
  }
}

/** 0 is any free port: nobody knows which. */
function isPort(value: unknown): value is number {
  return typeof value === 'number' && value > 0
}
