import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from 'typebox'
import { configurationPage, exampleToml } from './document.ts'

const schema = Type.Object({
  web: Type.Object(
    {
      idleSeconds: Type.Number({ default: 5, minimum: 0, description: 'How long | at most.' }),
      proxy: Type.Optional(Type.String({ description: 'Where to.' })),
      deep: Type.Object({ isOn: Type.Boolean({ default: false, description: 'Whether.' }) }, { description: 'Inside.' }),
    },
    { description: 'The web server.' },
  ),
  people: Type.Array(Type.Object({ name: Type.String(), key: Type.String({ secret: true, default: 'hidden' }) }), {
    default: [],
    description: 'Who.',
    examples: [[{ name: 'ann' }]],
  }),
})
const options = { schema, environmentPrefix: 'X_', introduction: 'Hello.' }

test('the sample file has each setting at its default, commented out', () => {
  assert.equal(
    exampleToml(options),
    `# Hello.

# The web server.
[web]

# How long | at most.
# A number, 0 or more.
# Environment: X_WEB_IDLE_SECONDS
#idleSeconds = 5

# Where to.
# Text.
# Environment: X_WEB_PROXY
#proxy = ""

# Inside.
[web.deep]

# Whether.
# True or false.
# Environment: X_WEB_DEEP_IS_ON
#isOn = false

# Who.
#[[people]]
#name = "ann"
`,
  )
})

test('the page has a table a section', () => {
  assert.equal(
    configurationPage(options),
    `Hello.

## web

The web server.

| key | default | unit | allowed | environment | meaning |
| --- | --- | --- | --- | --- | --- |
| \`idleSeconds\` | \`5\` | s | a number, 0 or more | \`X_WEB_IDLE_SECONDS\` | How long \\| at most. |
| \`proxy\` |  |  | text | \`X_WEB_PROXY\` | Where to. |

## web.deep

Inside.

| key | default | allowed | environment | meaning |
| --- | --- | --- | --- | --- |
| \`isOn\` | \`false\` | true or false | \`X_WEB_DEEP_IS_ON\` | Whether. |

## people (list)

Who.

| key | default | allowed |
| --- | --- | --- |
| \`name\` |  | text |
| \`key\` | \`"hidden"\` | text |

\`\`\`toml
[[people]]
name = "ann"
\`\`\`
`,
  )
})
