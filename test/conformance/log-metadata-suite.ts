import { after, before, describe } from 'node:test'
import { accessTests } from './log-metadata-access.ts'
import { commitTests } from './log-metadata-commits.ts'
import { TestLog, type MetadataServer } from './log-metadata-fixture.ts'
import { groupTests } from './log-metadata-groups.ts'
import { raceTests } from './log-metadata-races.ts'
import { retentionTests } from './log-metadata-retention.ts'
import { topicTests } from './log-metadata-topics.ts'

/** What holds for every implementation of `LogMetadata`. */
export function logMetadataSuite(name: string, start: () => Promise<MetadataServer>): void {
  describe(`log metadata in ${name}`, () => {
    let server: MetadataServer
    before(async () => {
      server = await start()
    })
    after(() => server[Symbol.asyncDispose]())
    const create = () => TestLog.create(server)
    topicTests(create)
    commitTests(create)
    retentionTests(create)
    groupTests(create)
    accessTests(create)
    raceTests(create)
  })
}
