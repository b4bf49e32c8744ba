/**
 * The life of a group, in the words of Kafka's classic protocol:
 *
 *            newcomer                    all joined, or timeout
 *   Empty ─────────────► PreparingRebalance ─────────────► CompletingRebalance ──────────► Stable
 *     ▲ │                  │   ▲       ▲                     │  assigned by the leader      │
 *     │ │ delete           │   │       └─────────────────────┘                              │
 *     │ ▼                  │   └────────────────────────────────────────────────────────────┘
 *     │ Dead               │         newcomer, changed metadata, loss of a member, leader joins again (Stable)
 *     └────────────────────┘
 *        nobody is left
 */
export const groupStates = ['Empty', 'PreparingRebalance', 'CompletingRebalance', 'Stable', 'Dead'] as const
export type GroupState = (typeof groupStates)[number]

/**
 * What happens to a group in each state; the steps are carried out by `Group`.
 *
 * - `start`: wait for more members; `gather`: one more that joined or is gone, all may be there now; `restart`: everybody has to join again
 * - `repeat`: the answer of the current generation once more; `adopt`: take the place of the former process without a new generation
 * - `wait`: for the leader's assignment; `give`: the assignment that is known; `alive`: fine, and the session begins anew
 * - `settle`: everybody gets what the leader gave; `drop`: members that stay silent are removed; `complete`: who has joined makes up the next generation
 * - `rebalancing`, `unknown`, `dead`, `not-empty`: refused; `member`: only a member may; `none`: nothing
 */
export const groupSteps = {
  /** A member that was not there before. */
  newcomer: { Empty: 'start', PreparingRebalance: 'gather', CompletingRebalance: 'restart', Stable: 'restart', Dead: 'dead' },
  /** A member joins again, and nothing about it has changed. */
  rejoin: { Empty: 'unknown', PreparingRebalance: 'gather', CompletingRebalance: 'repeat', Stable: 'repeat', Dead: 'unknown' },
  /** The leader asks for a new assignment by joining again. */
  leaderRejoin: {
    Empty: 'unknown',
    PreparingRebalance: 'gather',
    CompletingRebalance: 'repeat',
    Stable: 'restart',
    Dead: 'unknown',
  },
  /** A member joins again with other protocols or metadata. */
  change: { Empty: 'unknown', PreparingRebalance: 'gather', CompletingRebalance: 'restart', Stable: 'restart', Dead: 'unknown' },
  /** A new process of a static member. */
  takeover: { Empty: 'unknown', PreparingRebalance: 'gather', CompletingRebalance: 'restart', Stable: 'adopt', Dead: 'unknown' },
  sync: { Empty: 'unknown', PreparingRebalance: 'rebalancing', CompletingRebalance: 'wait', Stable: 'give', Dead: 'unknown' },
  heartbeat: {
    Empty: 'unknown',
    PreparingRebalance: 'rebalancing',
    CompletingRebalance: 'alive',
    Stable: 'alive',
    Dead: 'unknown',
  },
  /** A member commits offsets: before it joins again it may still say how far it came. */
  commit: { Empty: 'unknown', PreparingRebalance: 'alive', CompletingRebalance: 'rebalancing', Stable: 'alive', Dead: 'unknown' },
  /** A commit without a generation. */
  simpleCommit: { Empty: 'alive', PreparingRebalance: 'member', CompletingRebalance: 'member', Stable: 'member', Dead: 'dead' },
  /** A member left, fell silent, or went away before it got its id. */
  loss: { Empty: 'none', PreparingRebalance: 'gather', CompletingRebalance: 'restart', Stable: 'restart', Dead: 'none' },
  /** An id that was given out will not be used. */
  pendingLoss: { Empty: 'none', PreparingRebalance: 'gather', CompletingRebalance: 'none', Stable: 'none', Dead: 'none' },
  joinTimeout: { Empty: 'none', PreparingRebalance: 'complete', CompletingRebalance: 'none', Stable: 'none', Dead: 'none' },
  syncTimeout: { Empty: 'none', PreparingRebalance: 'none', CompletingRebalance: 'drop', Stable: 'drop', Dead: 'none' },
  /** The leader's assignment is stored. */
  assigned: { Empty: 'none', PreparingRebalance: 'none', CompletingRebalance: 'settle', Stable: 'none', Dead: 'none' },
  /** It could not be stored. */
  unassigned: { Empty: 'none', PreparingRebalance: 'none', CompletingRebalance: 'restart', Stable: 'none', Dead: 'none' },
  delete: {
    Empty: 'alive',
    PreparingRebalance: 'not-empty',
    CompletingRebalance: 'not-empty',
    Stable: 'not-empty',
    Dead: 'dead',
  },
} as const satisfies Record<string, Record<GroupState, string>>
