import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AppError } from '#lib/errors.ts'
import { groupId, GroupsFixture, joinRequest, rebalanceTimeoutMs, subscription, turn } from './groups.fixture.ts'
import type { JoinAnswer } from './group-types.ts'

const seed = Number(process.env['MILLRACE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
const numRuns = Number(process.env['MILLRACE_FUZZ_RUNS'] ?? 80)
const clientCount = 5

const follies = [
  'join',
  'join as new',
  'sync',
  'heartbeat',
  'commit',
  'leave',
  'disconnect',
  'pass time',
  'restart',
  'fault',
] as const
type Step = {
  readonly action: 'behave' | (typeof follies)[number]
  readonly client: number
  readonly ms: number
  readonly topics: number
}

const step: fc.Arbitrary<Step> = fc.record({
  action: fc.oneof(
    { weight: 2, arbitrary: fc.constant('behave' as const) },
    { weight: 1, arbitrary: fc.constantFrom(...follies) },
  ),
  client: fc.nat(clientCount - 1),
  ms: fc.constantFrom(0, 1, 500, 2_000, 9_000, 40_000),
  topics: fc.integer({ min: 1, max: 2 }),
})

/** A client as far as it knows itself. Those with an even number are static. */
class Client {
  readonly instanceId: string | null
  readonly number: number
  memberId = ''
  /** Its last join that was answered. */
  joined: JoinAnswer | undefined
  /** What a client in its right mind does next. */
  next: 'join' | 'sync' | 'heartbeat' | 'wait' = 'join'
  connection = new AbortController()

  constructor(number: number) {
    this.number = number
    this.instanceId = number % 2 === 0 ? `instance-${number}` : null
  }
}

/** Clients that do anything at any time, and what must hold all the same. */
class Simulation {
  readonly fixture: GroupsFixture
  readonly #fault: { isOn: boolean }
  readonly #clients = Array.from({ length: clientCount }, (_, number) => new Client(number))
  /** Everything that was asked for and not answered yet. */
  readonly #waiting = new Set<Promise<unknown>>()
  /** Which assignment, of all that leaders sent, a generation works by. */
  readonly #assignments = new Map<number, string>()
  #sent = 0
  syncCount = 0
  #generation = 0

  constructor(fixture: GroupsFixture, fault: { isOn: boolean }) {
    this.fixture = fixture
    this.#fault = fault
  }

  async run({ action, client: number, ms, topics }: Step): Promise<void> {
    const client = this.#clients[number]
    assert.ok(client)
    if (action === 'restart') await this.#restart()
    else if (action === 'fault') this.#fault.isOn = ms > 9_000
    else if (action === 'disconnect') client.connection.abort()
    else if (action === 'behave') for (const each of this.#clients) this.#behave(each)
    else if (action !== 'pass time') this.#watch(this.#request(action, { client, topics }))
    if (action === 'pass time') await this.fixture.timers.advance(ms)
    else if (ms > 0) await turn()
    this.#check()
  }

  /** Every client goes on as the answers that it got so far demand. */
  #behave(client: Client): void {
    const { next } = client
    if (next === 'wait') return
    client.next = 'wait'
    const request = async (): Promise<void> => {
      try {
        await this.#request(next, { client, topics: 1 })
        if (next === 'join') client.next = client.joined?.memberId === client.memberId ? 'sync' : 'join'
        else client.next = 'heartbeat'
      } catch (error) {
        client.next = 'join'
        if (error instanceof AppError && error.code !== 'GROUP_REBALANCING') client.memberId = ''
        throw error
      }
    }
    this.#watch(request())
  }

  async #request(
    action: 'join' | 'join as new' | 'sync' | 'heartbeat' | 'commit' | 'leave',
    { client, topics }: { client: Client; topics: number },
  ): Promise<void> {
    if (action === 'join as new') client.memberId = ''
    if (action === 'join' || action === 'join as new') await this.#join(client, topics)
    else if (action === 'sync') await this.#sync(client)
    else if (action === 'heartbeat') await this.#heartbeat(client)
    else if (action === 'commit') await this.#commit(client)
    else await this.#leave(client)
  }

  /** Nobody does anything any more: whatever waits must end. */
  async end(): Promise<void> {
    this.#fault.isOn = false
    // The longest wait of a new member, of joins and syncs one after the other, and the sessions.
    await this.fixture.timers.advance(10 * rebalanceTimeoutMs)
    await turn()
    assert.equal(this.#waiting.size, 0, 'a request waits for ever')
    const group = this.fixture.groups.describe(groupId)
    assert.deepEqual([group?.state ?? 'Empty', group?.members.length ?? 0], ['Empty', 0])
    await this.fixture.groups[Symbol.asyncDispose]()
    assert.equal(this.fixture.timers.pending, 0, 'a timer is left')
  }

  #check(): void {
    const { timers, groups } = this.fixture
    const group = groups.describe(groupId)
    assert.ok(timers.pending <= 3 * clientCount + 3, 'timers pile up')
    if (group?.state !== 'Stable') return
    assert.ok(group.generation >= this.#generation, 'a generation came back')
    this.#generation = group.generation
    assert.equal(new Set(group.members.map(({ memberId }) => memberId)).size, group.members.length)
  }

  async #restart(): Promise<void> {
    await this.fixture.restart()
    await turn()
    const group = this.fixture.groups.describe(groupId)
    if (!group) this.#forget()
    // A generation that was never stable is forgotten and its number comes again: its connections are gone with the server, and so is what they said.
    for (const client of this.#clients)
      if (client.joined && client.joined.generation > (group?.generation ?? 0)) client.joined = undefined
  }

  #forget(): void {
    this.#generation = 0
    this.#assignments.clear()
  }

  async #join(client: Client, topics: number): Promise<void> {
    client.connection = new AbortController()
    if (!this.fixture.groups.describe(groupId)) this.#forget()
    const protocols = [{ name: 'range', metadata: subscription(...['orders', 'invoices'].slice(0, topics)) }]
    const { instanceId, memberId, connection } = client
    const request = joinRequest({
      instanceId,
      memberId,
      protocols,
      mustKnowMemberId: client.number === 1,
      signal: connection.signal,
    })
    try {
      client.joined = await this.fixture.groups.join(request)
      client.memberId = client.joined.memberId
    } catch (error) {
      const memberId = error instanceof AppError ? error.details?.['memberId'] : undefined
      if (typeof memberId !== 'string') throw error
      client.memberId = memberId
    }
  }

  async #sync({ joined, instanceId, connection }: Client): Promise<void> {
    if (!joined) return
    const { generation, memberId, members } = joined
    const attempt = ++this.#sent
    const place = (member: { memberId: string; instanceId: string | null }): string => member.instanceId ?? member.memberId
    const assignments = members.map((member) => ({
      memberId: member.memberId,
      assignment: Buffer.from(`${attempt} for ${place(member)} in ${generation}`),
    }))
    const request = { groupId, memberId, instanceId, generation, protocolType: null, protocol: null, assignments }
    const { assignment } = await this.fixture.groups.sync({ ...request, signal: connection.signal })
    const [sent = '', rest = ''] = String(assignment).split(' for ')
    assert.equal(rest, `${place({ memberId, instanceId })} in ${generation}`)
    assert.equal(this.#assignments.get(generation) ?? sent, sent, 'a generation has two assignments')
    this.#assignments.set(generation, sent)
    this.syncCount += 1
  }

  async #heartbeat({ joined, instanceId }: Client): Promise<void> {
    await Promise.resolve()
    if (joined) this.fixture.groups.heartbeat({ groupId, memberId: joined.memberId, instanceId, generation: joined.generation })
  }

  async #commit({ joined, instanceId }: Client): Promise<void> {
    if (!joined) return
    const offsets = [{ topic: 'orders', partition: 0, offset: 1, leaderEpoch: -1, metadata: '' }]
    const { memberId, generation } = joined
    await this.fixture.groups.commitOffsets({ groupId, memberId, instanceId, generation, offsets })
  }

  async #leave({ memberId, instanceId }: Client): Promise<void> {
    await Promise.resolve()
    this.fixture.groups.leave({ groupId, members: [{ memberId, instanceId }] })
  }

  /** Refusals are fine; anything else is not. */
  #watch(request: Promise<void>): void {
    this.#waiting.add(request)
    void request
      .catch((error: unknown) => {
        if (!(error instanceof AppError)) this.#failures.push(error)
      })
      .finally(() => this.#waiting.delete(request))
  }

  readonly #failures: unknown[] = []
  checkFailures(): void {
    for (const failure of this.#failures) throw failure
  }
}

test(`whatever clients do, generations and assignments are consistent and nothing waits for ever (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 60, maxLength: 200, size: 'max' }),
      fc.constantFrom(0, 3_000),
      async (steps, initialRebalanceDelayMs) => {
        const fault = { isOn: false }
        await using fixture = await GroupsFixture.open({ initialRebalanceDelayMs }, (metadata) => ({
          saveGroup: async (row) => {
            await turn()
            if (fault.isOn) throw new AppError('DATABASE_UNAVAILABLE', 'the database does not answer')
            await metadata.saveGroup(row)
          },
        }))
        await fixture.addTopic('orders')
        const simulation = new Simulation(fixture, fault)
        for (const next of steps) await simulation.run(next)
        await simulation.end()
        simulation.checkFailures()
      },
    ),
    { seed, numRuns },
  )
})
