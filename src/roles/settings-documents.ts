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

/** Documents that are generated from the settings, by their path in the project. */
export function settingsDocuments(): { readonly path: string; readonly text: string }[] {
  const common = { schema: settingsSchema, environmentPrefix }
  return [
    { path: 'config.example.toml', text: exampleToml({ ...common, introduction: exampleIntroduction }) },
    { path: 'docs/configuration.md', text: configurationPage({ ...common, introduction: pageIntroduction }) },
  ]
}
