import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketOrder, reorderCapacity, reorderMs } from './packet-order.ts'

/** Packets by sequence number, `@` before a time that passes; what came out: numbers, `-n` for n missing, `late`. */
const tcp: [name: string, packets: string, outcome: string][] = [
  ['in order', '1 2 3', '1 2 3'],
  ['a gap is a loss', '1 2 5 6', '1 2 -2 5 6'],
  ['over the wrap', '65534 65535 0 1', '65534 65535 0 1'],
  ['a gap over the wrap', '65534 1', '65534 -2 1'],
  ['twice', '1 2 2 3', '1 2 late 3'],
  ['the sender begins anew', '30000 30001 7 8', '30000 30001 -0 7 8'],
]

const udp: [name: string, packets: string, outcome: string][] = [
  ['in order', '1 2 3', '1 2 3'],
  ['two change places', '1 3 2 4', '1 2 3 4'],
  ['over the wrap', '65534 0 1 65535 2', '65534 65535 0 1 2'],
  ['twice while held', '1 3 3 2', '1 late 2 3'],
  ['given up after a while', `1 3 4 @${reorderMs + 1} 5 2`, '1 -1 3 4 5 late'],
  ['two gaps, one of them filled', `1 3 5 2 @${reorderMs + 1} 6`, '1 2 3 -1 5 6'],
  ['too many behind a gap', `1 3 ${reorderCapacity + 2}`, `1 -1 3 -${reorderCapacity - 2} ${reorderCapacity + 2}`],
  ['the sender begins anew', '1 3 30000', '1 -1 3 -0 30000'],
]

for (const [isReordering, cases] of [
  [false, tcp],
  [true, udp],
] as const) {
  for (const [name, packets, outcome] of cases) {
    test(`packets over ${isReordering ? 'UDP' : 'TCP'}: ${name}`, () => {
      assert.equal(run(isReordering, packets), outcome)
    })
  }
}

test('after another sender everything is in order', () => {
  const outcomes: string[] = []
  const order = orderInto(outcomes, true)
  for (const sequenceNumber of [1, 3]) order.push(Buffer.from(String(sequenceNumber)), sequenceNumber, 0)
  order.restart()
  order.push(Buffer.from('900'), 900, 0)
  assert.deepEqual(outcomes, ['1', '900'])
})

function run(isReordering: boolean, packets: string): string {
  const outcomes: string[] = []
  const order = orderInto(outcomes, isReordering)
  let nowMs = 0
  for (const step of packets.split(' ')) {
    if (step.startsWith('@')) nowMs += Number(step.slice(1))
    else order.push(Buffer.from(step), Number(step), nowMs)
  }
  return outcomes.join(' ')
}

function orderInto(outcomes: string[], isReordering: boolean): PacketOrder {
  return new PacketOrder(
    {
      deliver: (packet) => outcomes.push(packet.toString()),
      missing: (packets) => outcomes.push(`-${packets}`),
      late: () => outcomes.push('late'),
    },
    { isReordering },
  )
}
