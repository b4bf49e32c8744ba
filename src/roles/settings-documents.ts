import { configurationPage, exampleToml } from '#lib/config/document.ts'
import { environmentAliases, environmentPrefix, settingsSchema } from './settings.ts'

const exampleIntroduction = `Millrace configuration. As it stands this file changes nothing: each setting is commented out at its default.
Take a setting in by removing the # before it. Check with: millrace validate --config <this file>
Environment variables win over this file, and command line flags over both. \${NAME} and \${NAME:-otherwise} inside a text are replaced from the environment; $\${ stands for the characters themselves.
A file with passwords in it must be readable by its owner only (chmod 600).`

const pageIntroduction = `# Configuration

Generated from the schema by \`npm run generate\`; do not edit.

Settings come from four places, each winning over those before it:

1. the defaults below;
2. a TOML file: \`--config <file>\`, or \`MILLRACE_CONFIG\`, or \`millrace.toml\` in the working directory if there is one;
3. environment variables: \`MILLRACE_\`, the section and the key in capitals (\`api.port\` is \`MILLRACE_API_PORT\`); lists are separated by commas; an empty variable counts as absent;
4. command line flags of \`millrace serve\`.

\`millrace validate --show\` prints every setting in force and where it comes from. \`config.example.toml\` is a file to start from.

Inside any text of the file, \`\${NAME}\` is replaced by an environment variable and \`\${NAME:-otherwise}\` has a value for when it is missing or
empty; \`$\${\` stands for the characters \`\${\`. A variable may stand for a number or a boolean too: \`port = "\${HTTP_PORT:-3000}"\`.

These variables of other programs are understood too, after our own names: ${environmentAliases.map(({ name, key }) => `\`${name}\` (\`${key}\`)`).join(', ')}.
\`AWS_ACCESS_KEY_ID\`, \`AWS_SECRET_ACCESS_KEY\`, \`AWS_SESSION_TOKEN\` and \`AWS_PROFILE\` are read by the S3 client itself.

A running server reads the file again on SIGHUP and when it changes; a file with a mistake is refused and the old settings stay.
A file that holds a password in plain words, also inside a URL, must be readable by its owner only.`

const pageClosing = `## API keys

Programs are given keys rather than passwords of people: a key has rights of its own, is made, rotated and revoked without a change to any file, and is known to all nodes
over one database. They are for HTTP; RTSP, Kafka and gRPC know users alone.

\`\`\`sh
export MILLRACE_URL=http://admin:password@10.0.0.5:3000
millrace keys create wall --read 'site-1/*' --expires-in 90d    # may watch; without flags: may read every stream
millrace keys create encoder --admin                            # what a worker needs: worker.credential = "mrk_…"
millrace keys list
millrace keys rotate <id> --overlap 7d                          # both secrets are valid for a week; a day without --overlap
millrace keys revoke <id>
curl -H 'Authorization: Bearer mrk_…' http://10.0.0.5:3000/api/v1/streams
\`\`\`

- \`publish\`, \`read\` and \`admin\` mean what they mean for users; over HTTP nothing is published to streams yet, so \`publish\` is only kept. In logs a key is \`key:<name>\`. Only administrators, and keys with \`admin\`, make and see keys.
- A key is shown once. What is stored is the SHA-256 of its secret, 256 bits of chance. There are 1000 keys at most; two secrets of each are valid at most, so a rotation in an
  overlap ends the older one at once.
- A change reaches each node within 5 seconds: so long it goes by what the database said before. While the database is away, it does so for 10 minutes: long enough for a
  database to fail over, and the longest that a node which is cut off may still let in a key that was revoked elsewhere.
- While there are no users everything is open, keys or not: they are then not looked at, and are made on this machine only. Declare an administrator under \`[[users]]\` first.

## Limits of requests

Each client (a user, a key, otherwise an address) may send \`api.requestBurst\` requests to the API at once and \`api.requestsPerSecond\` for long, to each node. More are answered with 429,
\`RATE_LIMITED\` and \`Retry-After\`, and counted in \`millrace_http_requests_limited_total\`. Health, media (HLS, playback, exports, objects), records of topics, WebSockets and what workers say do not count;
wrong credentials do, for their address, wherever they are sent. A proxy on the same machine is believed whose request it is (\`X-Forwarded-For\`); behind any other, clients without credentials are one.
`

/** Documents that are generated from the settings, by their path in the project. */
export function settingsDocuments(): { readonly path: string; readonly text: string }[] {
  const common = { schema: settingsSchema, environmentPrefix }
  return [
    { path: 'config.example.toml', text: exampleToml({ ...common, introduction: exampleIntroduction }) },
    {
      path: 'docs/configuration.md',
      text: `${configurationPage({ ...common, introduction: pageIntroduction })}\n${pageClosing}`,
    },
  ]
}
