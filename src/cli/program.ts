import { Command as CommanderCommand, CommanderError, Option } from 'commander'
import { toAppError, type AppError, type ErrorCode } from '#lib/errors.ts'
import { readVersion } from '#lib/version.ts'
import { isAbort } from './client.ts'
import type { Command, CommandContext, ParameterHelp } from './command.ts'
import { commandNames, groups, loadCommands } from './commands.ts'

const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** Runs one command line, without the program's name, and returns the exit code. Errors are printed here. */
export async function runCommandLine(argv: readonly string[], context: CommandContext): Promise<number> {
  try {
    await buildProgram(await loadCommands(argv), context).parseAsync([...argv], { from: 'user' })
    return exitCodes.ok
  } catch (thrown) {
    if (isAbort(thrown)) return exitCodes.interrupted
    if (thrown instanceof CommanderError) return endOfCommander(thrown, argv, context)
    const error = toAppError(thrown)
    context.terminal.writeError(describeError(error, argv))
    return error.code === 'USAGE' ? exitCodes.usage : exitCodes.failed
  }
}

function buildProgram(commands: readonly Command[], context: CommandContext): CommanderCommand {
  const { terminal } = context
  const width = Math.min(terminal.columns, 120)
  const program = new CommanderCommand('millrace')
    .description('One program for streams: live video, recordings and a durable event log.')
    .version(readVersion(), '--version', 'Print the version')
    .helpOption('-h, --help', 'Show help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => terminal.writeError(text),
      // Told by runCommandLine, in the form of all errors.
      outputError: () => {},
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
    })
  for (const command of commands) addCommand(program, command, context)
  return program
}

/** `streams list` goes below `streams`, which is made when it is first needed. */
function addCommand(program: CommanderCommand, command: Command, context: CommandContext): void {
  const [first = '', second] = command.name.split(' ')
  const parent =
    second === undefined ? program : (program.commands.find((group) => group.name() === first) ?? program.command(first))
  if (parent !== program) parent.description(groups[first] ?? '')
  const leaf = parent.command(second ?? first).summary(command.summary)
  leaf.description(command.details === undefined ? `${command.summary}.` : `${command.summary}.\n\n${command.details}`)
  for (const { key, isRequired, description } of command.arguments)
    leaf.argument(isRequired ? `<${key}>` : `[${key}]`, description)
  for (const parameter of command.options) leaf.addOption(optionOf(parameter))
  leaf.action(async () => {
    const typed = command.arguments.map(({ key }, index) => [key, leaf.args[index]] as const)
    await command.execute({ arguments: Object.fromEntries(typed), options: leaf.opts() }, context)
  })
}

function optionOf({ flag, short, placeholder, description, initial, shape }: ParameterHelp): Option {
  const value = shape.kind === 'boolean' ? '' : ` <${placeholder}>`
  const otherwise = initial === undefined || initial === false ? '' : ` (default: ${JSON.stringify(initial)})`
  const option = new Option(`${short === undefined ? '' : `-${short}, `}${flag}${value}`, description + otherwise)
  if (shape.kind === 'list') option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text])
  return option
}

/** Commander ends by throwing, also after help and version. */
function endOfCommander({ code, message }: CommanderError, argv: readonly string[], { terminal }: CommandContext): number {
  if (code === 'commander.helpDisplayed' || code === 'commander.version') return exitCodes.ok
  // A group without a command: its help was shown.
  if (code !== 'commander.help')
    terminal.writeError(errorLines('USAGE', message.replace(/^error: /, '').replaceAll('\n', ' '), argv))
  return exitCodes.usage
}

function describeError(error: AppError, argv: readonly string[]): string {
  const fault = error.code === 'INTERNAL' ? `${stackOf(error)}\n` : ''
  return errorLines(error.code, error.message, argv) + fault
}

function stackOf(error: AppError): string {
  const origin = error.cause instanceof Error ? error.cause : error
  return origin.stack ?? String(origin)
}

/** What to do about errors whose message cannot know. */
const hints: Partial<Record<ErrorCode, (command: string) => string>> = {
  USAGE: (command) => `${command} --help`,
  STREAM_NOT_FOUND: () => 'millrace streams list shows what there is',
  TOPIC_NOT_FOUND: () => 'millrace topics list shows what there is',
  GROUP_NOT_FOUND: () => 'millrace groups list shows what there is',
  JOB_NOT_FOUND: () => 'millrace jobs list shows what there is',
  NODE_NOT_FOUND: () => 'millrace nodes list shows what there is',
  KEY_NOT_FOUND: () => 'millrace keys list shows what there is',
  UNAUTHORIZED: () =>
    'give user and password, or an API key: --url http://user:password@host:3000 or http://mrk_…@host:3000, or in MILLRACE_URL; or --certificate and --key over https',
  LISTEN_FAILED: () => 'another program may have the port; choose another one in the configuration',
}

/** `error CODE: message`, further lines of the message indented, and a hint. */
function errorLines(code: ErrorCode, message: string, argv: readonly string[]): string {
  const hint = hints[code]?.(commandOf(argv))
  return `error ${code}: ${message.replaceAll('\n', '\n  ')}\n${hint === undefined ? '' : `hint: ${hint}\n`}`
}

/** The program and the words of the command that was meant. */
function commandOf(argv: readonly string[]): string {
  const [first = '', second = ''] = argv
  const names = [`${first} ${second}`, first]
  const found = names.find((name) => commandNames.some((command) => command === name || command.startsWith(`${name} `)))
  return found === undefined || found.trim() === '' ? 'millrace' : `millrace ${found}`
}
