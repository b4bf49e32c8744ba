import { decodeBatch, type LogRecord } from '#formats/kafka/records.ts'
import { readBatchHeader } from '#formats/kafka/record-batch.ts'
import type { LogAgent } from '#eventlog/agent.ts'

const maxBytes = 4_194_304

/** Every batch of a partition, as it is kept. Throws when something is missing or comes twice. */
export async function storedBatches(agent: Pick<LogAgent, 'fetch'>, topic: string, partition = 0): Promise<Buffer[]> {
  const batches: Buffer[] = []
  for (let offset: number | undefined; ;) {
    const [found] = await agent.fetch({
      partitions: [{ topic, partition, offset: offset ?? 0, maxBytes }],
      maxBytes,
      minBytes: 1,
      maxWaitMs: 0,
    })
    if (!found) throw new Error(`no answer for partition ${partition} of ${topic}`)
    if (found.error) throw found.error
    for (const batch of found.batches) {
      const { baseOffset, lastOffsetDelta } = readBatchHeader(batch)
      if (baseOffset !== (offset ?? 0)) throw new Error(`offset ${baseOffset} where ${offset ?? 0} comes next`)
      offset = baseOffset + lastOffsetDelta + 1
      batches.push(batch)
    }
    if (found.batches.length === 0) return batches
  }
}

/** Every record of a partition. */
export async function storedRecords(agent: Pick<LogAgent, 'fetch'>, topic: string, partition = 0): Promise<LogRecord[]> {
  return (await storedBatches(agent, topic, partition)).flatMap((batch) => decodeBatch(batch))
}

/** The values of a partition as text, in order. */
export async function storedValues(agent: Pick<LogAgent, 'fetch'>, topic: string, partition = 0): Promise<string[]> {
  return (await storedRecords(agent, topic, partition)).map(({ value }) => value?.toString() ?? '')
}
