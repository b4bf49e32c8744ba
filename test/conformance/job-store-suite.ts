import { after, before, describe } from 'node:test'
import { claimTests } from './job-store-claims.ts'
import { endTests } from './job-store-ends.ts'
import { fairnessTests } from './job-store-fairness.ts'
import { faultTests } from './job-store-faults.ts'
import { TestFleet, type JobServer } from './job-store-fixture.ts'
import { jobTests } from './job-store-jobs.ts'
import { nodeTests } from './job-store-nodes.ts'
import { raceTests } from './job-store-races.ts'
import { randomTests } from './job-store-random.ts'
import { workTests } from './job-store-work.ts'

/** What holds for the store of jobs on every database. */
export function jobStoreSuite(name: string, start: () => Promise<JobServer>): void {
  describe(`job store in ${name}`, () => {
    let server: JobServer
    before(async () => {
      server = await start()
    })
    after(() => server[Symbol.asyncDispose]())
    const create = () => TestFleet.create(server)
    jobTests(create)
    claimTests(create)
    fairnessTests(create)
    workTests(create)
    faultTests(create)
    nodeTests(create)
    endTests(create)
    raceTests(create)
    randomTests(create)
  })
}
