import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '#lib/errors.ts'
import { fuzzText } from '../../../test/support/fuzz.ts'
import { parseRequestTarget, parseRtspUrl, resolveBaseUrl, resolveTrackUrl, type RequestTarget, type RtspUrl } from './url.ts'

const plain = { scheme: 'rtsp', username: undefined, password: undefined, host: 'cam', port: 554, text: 'rtsp://cam/' } as const

const urls: [url: string, parsed: RtspUrl][] = [
  ['rtsp://cam', plain],
  ['RTSP://cam/live?channel=1&subtype=0', { ...plain, text: 'rtsp://cam/live?channel=1&subtype=0' }],
  ['rtsp://cam:8554/a', { ...plain, port: 8554, text: 'rtsp://cam:8554/a' }],
  ['rtsps://cam/a', { ...plain, scheme: 'rtsps', port: 322, text: 'rtsps://cam/a' }],
  [
    'rtsp://admin:secret@192.0.2.1/s',
    { ...plain, username: 'admin', password: 'secret', host: '192.0.2.1', text: 'rtsp://192.0.2.1/s' },
  ],
  ['rtsp://admin:p@ss:w#rd?@cam/s', { ...plain, username: 'admin', password: 'p@ss:w#rd?', text: 'rtsp://cam/s' }],
  ['rtsp://user%40home:a%2Fb@cam/s', { ...plain, username: 'user@home', password: 'a/b', text: 'rtsp://cam/s' }],
  ['rtsp://admin@cam/s', { ...plain, username: 'admin', password: '', text: 'rtsp://cam/s' }],
  ['rtsp://[2001:db8::1]:8554/s', { ...plain, host: '2001:db8::1', port: 8554, text: 'rtsp://[2001:db8::1]:8554/s' }],
]

for (const [url, parsed] of urls) {
  test(`RTSP URL ${url}`, () => {
    assert.deepEqual(parseRtspUrl(url), parsed)
  })
}

for (const url of ['', 'http://cam/', 'rtsp://', 'rtsp:///path', 'rtsp://cam:0/', 'rtsp://cam:99999/', 'rtsp://a b/']) {
  test(`"${url}" is no RTSP URL`, () => {
    assert.throws(() => parseRtspUrl(url), AppError)
  })
}

const requestUrl = 'rtsp://192.0.2.1:554/live?ch=1'
const bases: [name: string, contentBase: string | undefined, control: string | undefined, base: string][] = [
  ['nothing said', undefined, '*', requestUrl],
  ['session control', 'rtsp://192.0.2.1/other/', 'rtsp://192.0.2.1/control/', 'rtsp://192.0.2.1/control/'],
  ['Content-Base', 'rtsp://192.0.2.1/live/', '*', 'rtsp://192.0.2.1/live/'],
  ['a path only', '/live/', undefined, 'rtsp://192.0.2.1:554/live/'],
  ['scheme twice', 'rtsp://rtsp://192.0.2.1/live/', undefined, 'rtsp://192.0.2.1/live/'],
  ['no scheme', '192.0.2.1:554/live/', undefined, 'rtsp://192.0.2.1:554/live/'],
  ['bare IPv6', 'rtsp://fe80::1:2:554/live/', undefined, 'rtsp://192.0.2.1:554/live/'],
  ['credentials', 'rtsp://admin:x@192.0.2.1/live/', undefined, 'rtsp://192.0.2.1/live/'],
  ['nonsense', 'h t t p', 'nonsense', requestUrl],
]

for (const [name, contentBase, control, base] of bases) {
  test(`base URL: ${name}`, () => {
    assert.equal(resolveBaseUrl({ requestUrl, contentBase, control }), base)
  })
}

const trackUrls: [base: string, control: string | undefined, url: string][] = [
  ['rtsp://cam/live', undefined, 'rtsp://cam/live'],
  ['rtsp://cam/live', '*', 'rtsp://cam/live'],
  ['rtsp://cam/live', 'trackID=0', 'rtsp://cam/live/trackID=0'],
  ['rtsp://cam/live/', 'trackID=0', 'rtsp://cam/live/trackID=0'],
  ['rtsp://cam/live/', '/trackID=0', 'rtsp://cam/live/trackID=0'],
  ['rtsp://cam/live?ch=1', 'trackID=0', 'rtsp://cam/live?ch=1/trackID=0'],
  ['rtsp://cam/live', '?ctype=video', 'rtsp://cam/live?ctype=video'],
  ['rtsp://cam/live', 'rtsp://192.0.2.9/x/track1', 'rtsp://192.0.2.9/x/track1'],
  ['rtsp://cam/live', 'rtsp://rtsp://192.0.2.9/x/track1', 'rtsp://192.0.2.9/x/track1'],
]

for (const [base, control, url] of trackUrls) {
  test(`track URL: ${control} on ${base}`, () => {
    assert.equal(resolveTrackUrl(base, control), url)
  })
}

const targets: [url: string, target: RequestTarget][] = [
  ['rtsp://h:8554/site/gate', { path: 'site/gate', query: '', trackId: undefined }],
  ['rtsp://h/gate/', { path: 'gate', query: '', trackId: undefined }],
  ['rtsp://h/gate/trackID=3', { path: 'gate', query: '', trackId: 3 }],
  ['rtsp://h/gate/trackID=3/', { path: 'gate', query: '', trackId: 3 }],
  ['rtsp://h/gate?a=b/trackID=3', { path: 'gate', query: 'a=b', trackId: 3 }],
  ['rtsp://h/gate/trackID=3?a=b', { path: 'gate', query: 'a=b', trackId: 3 }],
  ['rtsp://h/gate?a=b/', { path: 'gate', query: 'a=b', trackId: undefined }],
  ['/gate', { path: 'gate', query: '', trackId: undefined }],
  ['*', { path: '*', query: '', trackId: undefined }],
  ['rtsp://h/%67ate', { path: 'gate', query: '', trackId: undefined }],
]

for (const [url, target] of targets) {
  test(`request target ${url}`, () => {
    assert.deepEqual(parseRequestTarget(url), target)
  })
}

const texts = [...urls.map(([url]) => url), ...targets.map(([url]) => url), ...bases.map(([, base]) => base ?? '')]
fuzzText('RTSP URL', texts, parseRtspUrl)
fuzzText('request target', texts, parseRequestTarget)
fuzzText('base and track URL', texts, (text) =>
  resolveTrackUrl(resolveBaseUrl({ requestUrl, contentBase: text, control: text }), text),
)
