export type StreamAction = 'publish' | 'read'

/** Rights as they are written down. Names of streams may hold `*`, which stands for anything. */
export type WrittenRights = { readonly publish: readonly string[]; readonly read: readonly string[]; readonly admin: boolean }

/** What a user or a key may do. */
export type Rights = { readonly isAdmin: boolean; readonly patterns: Readonly<Record<StreamAction, readonly RegExp[]>> }

export const allRights: Rights = rightsOf({ publish: ['*'], read: ['*'], admin: true })

export function rightsOf({ publish, read, admin }: WrittenRights): Rights {
  return { isAdmin: admin, patterns: { publish: publish.map(toPattern), read: read.map(toPattern) } }
}

export function isGranted(rights: Rights, action: StreamAction, stream: string): boolean {
  return rights.patterns[action].some((pattern) => pattern.test(stream))
}

function toPattern(text: string): RegExp {
  const parts = text.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`)
}
