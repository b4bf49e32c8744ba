import assert from 'node:assert/strict'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ManualClock } from '#lib/clock.ts'
import { temporaryDirectory } from '../../../test/support/temp-directory.ts'
import { until } from '../../../test/support/until.ts'
import { readDrmCards } from './drm-cards.ts'
import { Gpus } from './gpus.ts'
import { askNvidiaSmi, parseNvidiaSmi } from './nvidia-smi.ts'

/** Parts of what driver 595 says of a GeForce RTX 3080 that computes. */
const rtx3080 = `	<gpu id="00000000:0C:00.0">
		<product_name>NVIDIA GeForce RTX 3080</product_name>
		<fan_speed>0 %</fan_speed>
		<fb_memory_usage>
			<total>10240 MiB</total>
			<reserved>397 MiB</reserved>
			<used>9184 MiB</used>
			<free>660 MiB</free>
		</fb_memory_usage>
		<bar1_memory_usage>
			<total>16384 MiB</total>
			<used>9218 MiB</used>
			<free>7166 MiB</free>
		</bar1_memory_usage>
		<utilization>
			<gpu_util>65 %</gpu_util>
			<memory_util>9 %</memory_util>
			<encoder_util>0 %</encoder_util>
			<decoder_util>0 %</decoder_util>
			<jpeg_util>0 %</jpeg_util>
			<ofa_util>0 %</ofa_util>
		</utilization>
		<temperature>
			<gpu_temp>27 C</gpu_temp>
			<gpu_temp_tlimit>N/A</gpu_temp_tlimit>
			<gpu_temp_max_threshold>98 C</gpu_temp_max_threshold>
		</temperature>
	</gpu>
`
/** Driver 470, a GeForce GT 1030: it has no encoder. */
const gt1030 = `	<gpu id="00000000:2D:00.0">
		<product_name>NVIDIA GeForce GT 1030</product_name>
		<fb_memory_usage>
			<total>1998 MiB</total>
			<used>875 MiB</used>
			<free>1123 MiB</free>
		</fb_memory_usage>
		<utilization>
			<gpu_util>0 %</gpu_util>
			<memory_util>3 %</memory_util>
			<encoder_util>N/A</encoder_util>
			<decoder_util>0 %</decoder_util>
		</utilization>
		<temperature>
			<gpu_temp>36 C</gpu_temp>
			<gpu_temp_max_threshold>102 C</gpu_temp_max_threshold>
		</temperature>
	</gpu>
`
const logOf = (...cards: string[]): string =>
  `<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v13.dtd">\n<nvidia_smi_log>\n${cards.join('')}</nvidia_smi_log>\n`

const figuresOf3080 = {
  utilizationPercent: 65,
  memoryUsedBytes: 9184 * 2 ** 20,
  encoderUtilizationPercent: 0,
  temperatureCelsius: 27,
}
const figuresOf1030 = { utilizationPercent: 0, memoryUsedBytes: 875 * 2 ** 20, temperatureCelsius: 36 }

for (const [name, xml, figures] of [
  ['a card that computes', logOf(rtx3080), [{ gpu: '0', ...figuresOf3080 }]],
  ['what a card does not have is not told', logOf(gt1030), [{ gpu: '0', ...figuresOf1030 }]],
  [
    'two cards, of which one is broken',
    logOf('	<gpu id="00000000:01:00.0">\n		<gpu_util>[Unknown Error]</gpu_util>\n	</gpu>\n', rtx3080),
    [{ gpu: '0' }, { gpu: '1', ...figuresOf3080 }],
  ],
  ['a driver that is not loaded', "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", []],
  ['nothing', '', []],
] as const) {
  test(`output of nvidia-smi: ${name}`, () => assert.deepEqual(parseNvidiaSmi(xml), figures))
}

/** An executable of this name before all others, for the time of the test. */
async function putOnPath(t: TestContext, { name, script }: { name: string; script: string }): Promise<void> {
  const directory = await temporaryDirectory()
  const path = process.env['PATH']
  t.after(async () => {
    process.env['PATH'] = path
    await directory[Symbol.asyncDispose]()
  })
  await writeFile(join(directory.path, name), `#!/bin/sh\n${script}\n`)
  await chmod(join(directory.path, name), 0o755)
  process.env['PATH'] = `${directory.path}:${path}`
}

const { signal } = new AbortController()

test('the command is run, and its cards are told', async (t) => {
  await putOnPath(t, { name: 'nvidia-smi', script: `[ "$*" = "-q -x" ] && cat <<'end'\n${logOf(gt1030)}end` })
  assert.deepEqual(await askNvidiaSmi(signal), [{ gpu: '0', ...figuresOf1030 }])
})

test('a command that fails or is not there has no cards', async (t) => {
  await putOnPath(t, { name: 'nvidia-smi', script: `cat <<'end'\n${logOf(gt1030)}end\nexit 9` })
  assert.deepEqual(await askNvidiaSmi(signal), [])
  process.env['PATH'] = '/none'
  assert.deepEqual(await askNvidiaSmi(signal), [])
})

test('a command that hangs is ended when the worker ends', async (t) => {
  await putOnPath(t, { name: 'nvidia-smi', script: 'exec sleep 60' })
  const end = new AbortController()
  const asked = askNvidiaSmi(end.signal)
  end.abort()
  assert.deepEqual(await asked, [])
})

test("cards of the kernel's own drivers are read from its files", async () => {
  await using directory = await temporaryDirectory()
  const files = {
    'card1/device/gpu_busy_percent': '37\n',
    'card1/device/mem_info_vram_used': '1503238553\n',
    'card1/device/hwmon/hwmon3/temp1_input': '54000\n',
    // No figures: of the connector of a card, and of another driver.
    'card1-HDMI-A-1/device/gpu_busy_percent': '1\n',
    'card0/device/vendor': '0x10de\n',
  }
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory.path, path)), { recursive: true })
    await writeFile(join(directory.path, path), text)
  }
  const card = { gpu: 'card1', utilizationPercent: 37, memoryUsedBytes: 1_503_238_553, temperatureCelsius: 54 }
  assert.deepEqual(await readDrmCards(directory.path), [card])
  assert.deepEqual(await readDrmCards(join(directory.path, 'none')), [])
})

test('cards are asked at most each 15 s, one question at a time, and nobody waits for them', async () => {
  const clock = new ManualClock()
  const asked: PromiseWithResolvers<readonly { gpu: string }[]>[] = []
  const source = () => {
    const question = Promise.withResolvers<readonly { gpu: string }[]>()
    asked.push(question)
    return question.promise
  }
  using gpus = new Gpus({ clock, sources: [source, () => Promise.reject(new Error('broken'))] })
  assert.deepEqual([gpus.figures, gpus.figures, asked.length], [[], [], 1])
  clock.advance(20_000)
  assert.deepEqual([gpus.figures, asked.length], [[], 1], 'the first question has no answer yet')
  asked[0]?.resolve([{ gpu: '0' }])
  await until(() => gpus.figures.length === 1)
  assert.equal(asked.length, 2, 'it was time')
  clock.advance(300_000)
  assert.deepEqual(gpus.figures, [], 'what was said long ago is not told')
})
