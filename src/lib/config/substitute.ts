export type Substitution = {
  readonly text: string
  /** Whether a variable was used, and not only an escape. */
  readonly isFromEnvironment: boolean
  /** What is wrong, each with its remedy; empty when all is well. */
  readonly problems: readonly string[]
}

/**
 * Replaces `${NAME}` and `${NAME:-otherwise}` in a text; `$${` stands for the characters `${`. As in a shell, `otherwise` serves for a variable that is
 * missing or empty; it may hold anything but `}`. Values are taken as they are and not searched again.
 */
export function substitute(text: string, environment: Readonly<Record<string, string | undefined>>): Substitution {
  const problems: string[] = []
  let isFromEnvironment = false
  const result = text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (all, inside: string | undefined, close: string | undefined) => {
    if (inside === undefined) return '${'
    const [, name, otherwise] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([^]*))?$/.exec(inside) ?? []
    if (name === undefined || close === '') {
      problems.push('has a "${" that is no ${NAME} and no ${NAME:-otherwise}; write $${ for the characters themselves')
      return all
    }
    isFromEnvironment = true
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (otherwise !== undefined) return value === undefined || value === '' ? otherwise : value
    if (value === undefined)
      problems.push(`needs the environment variable ${name}, which is not set; set it or write \${${name}:-otherwise}`)
    return value ?? all
  })
  return { text: result, isFromEnvironment, problems }
}
