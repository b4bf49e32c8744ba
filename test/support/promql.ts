/** What an expression of Prometheus names, without what it computes. */
const listKeywords = ['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']
const keywords = new Set(['and', 'or', 'unless', 'bool', 'offset', ...listKeywords])

export type PromqlNames = {
  /** Each metric that is selected, with the labels of its matchers. */
  readonly selected: readonly { readonly metric: string; readonly labels: readonly string[] }[]
  /** Labels that results are grouped or matched by. */
  readonly grouped: readonly string[]
}

/** The names in an expression; throws for parentheses that do not close. */
export function promqlNames(expression: string): PromqlNames {
  const plain = expression.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
  requireClosed(plain, expression)
  const grouped: string[] = []
  const grouping = new RegExp(String.raw`\b(${listKeywords.join('|')})\s*\(([^)]*)\)`, 'g')
  const ungrouped = plain.replaceAll(grouping, (_, _keyword: string, labels: string) => {
    grouped.push(...labels.split(',').map((label) => label.trim()))
    return ' '
  })
  const selected: PromqlNames['selected'][number][] = []
  const rest = ungrouped.replaceAll(/\[[^\]]*\]/g, ' ')
  // A name that a parenthesis follows is a function.
  for (const [, metric = '', matchers = ''] of rest.matchAll(/(?<![\w.$])([a-zA-Z_:][\w:]*)\b(?!\s*\()\s*(?:\{([^}]*)\})?/g)) {
    if (keywords.has(metric)) continue
    selected.push({ metric, labels: [...matchers.matchAll(/(\w+)\s*(?:=|!)/g)].map(([, label = '']) => label) })
  }
  return { selected, grouped: grouped.filter((label) => label !== '') }
}

function requireClosed(plain: string, expression: string): void {
  const open: string[] = []
  const closers: Record<string, string> = { ')': '(', ']': '[', '}': '{' }
  for (const [char] of plain.matchAll(/[()[\]{}]/g)) {
    const opener = closers[char]
    if (opener === undefined) open.push(char)
    else if (open.pop() !== opener) throw new Error(`"${char}" closes nothing in: ${expression}`)
  }
  if (open.length > 0) throw new Error(`"${open.at(-1)}" is not closed in: ${expression}`)
}
