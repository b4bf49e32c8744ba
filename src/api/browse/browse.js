/** Shows `/api/openapi.json`: routes by tag, their parameters and schemas, and a form to try each of them. */

const response = await fetch('/api/openapi.json')
const api = await response.json()
const routes = Object.entries(api.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

const main = document.querySelector('#routes')
const search = document.querySelector('#search')
document.querySelector('#version').textContent = api.info.version
document.querySelector('#description').append(...rich(api.info.description))
main.replaceChildren(...api.tags.map(tagSection))
search.addEventListener('input', filterRoutes)
openLinked()
addEventListener('hashchange', openLinked)

/** Makes an element: `element('p', { className: 'quiet' }, 'text', child)`. */
function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}

/** Text with `code` between backticks. */
function rich(text) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? element('code', {}, part) : part))
}

function tagSection({ name, description }) {
  const shown = routes.filter(({ operation }) => operation.tags?.includes(name)).map(routeDetails)
  return element('section', {}, element('h2', {}, name), element('p', { className: 'quiet' }, description), ...shown)
}

function routeDetails(route) {
  const { path, method, operation } = route
  const summary = element(
    'summary',
    {},
    element('span', { className: `method ${method}` }, method),
    element('code', {}, path),
    element('span', { className: 'quiet' }, operation.summary),
  )
  const details = element('details', { className: 'route', id: `${method} ${path}` }, summary)
  details.dataset.text = `${method} ${path} ${operation.summary}`.toLowerCase()
  details.addEventListener('toggle', () => {
    if (details.open && details.childElementCount === 1) details.append(routeBody(route))
  })
  return details
}

function routeBody({ path, method, operation }) {
  const parameters = operation.parameters ?? []
  const body = operation.requestBody?.content['application/json']?.schema
  return element(
    'div',
    {},
    ...(operation.description ? [element('p', {}, ...rich(operation.description))] : []),
    tryForm({ path, method, parameters, body }),
    ...(body ? [element('h3', {}, 'Body'), schemaBlock(body)] : []),
    element('h3', {}, 'Answers'),
    ...Object.entries(operation.responses).map(([status, answer]) => answerDetails(status, answer)),
  )
}

function answerDetails(status, { description, content = {} }) {
  const [type, media] = Object.entries(content)[0] ?? ['no content']
  const about = description === 'Default Response' ? '' : ` · ${description}`
  const label = element('summary', {}, `${status} `, element('span', { className: 'quiet' }, type, about))
  return element('details', {}, label, ...(media?.schema ? [schemaBlock(media.schema)] : []))
}

function schemaBlock(schema) {
  return element('pre', {}, describe(schema, ''))
}

/** A schema as an outline: a line a field, with what it means. */
function describe(schema, indent) {
  const resolved = schema.$ref ? api.components.schemas[schema.$ref.split('/').at(-1)] : schema
  if (resolved.type === 'array') return `list of ${describe(resolved.items, indent)}`
  if (resolved.type !== 'object' || !resolved.properties) return typeName(resolved)
  const lines = Object.entries(resolved.properties).map(([name, field]) => {
    const mark = resolved.required?.includes(name) ? '' : '?'
    const note = field.description ? `  — ${field.description}` : ''
    return `${indent}  ${name}${mark}: ${describe(field, `${indent}  `)}${note}`
  })
  return `{\n${lines.join('\n')}\n${indent}}`
}

function typeName({ type, enum: values, anyOf, const: constant, minimum, maximum, default: initial }) {
  const name =
    values?.join(' | ') ?? anyOf?.map(typeName).join(' | ') ?? (constant === undefined ? (type ?? 'anything') : constant)
  const bounds = minimum === undefined && maximum === undefined ? '' : ` (${minimum ?? ''}…${maximum ?? ''})`
  return name + bounds + (initial === undefined ? '' : `, default ${JSON.stringify(initial)}`)
}

function tryForm({ path, method, parameters, body }) {
  const form = element('form', {})
  const inputs = parameters.map((parameter) => ({
    parameter,
    input: element('input', { className: 'value', required: parameter.required ?? false, ariaLabel: parameter.name }),
  }))
  const rows = inputs.map(({ parameter, input }) => {
    const about = parameter.description ?? parameter.schema?.description ?? ''
    const name = element('td', {}, element('code', {}, parameter.name), element('small', {}, ` ${parameter.in}`))
    return element('tr', {}, name, element('td', {}, input), element('td', { className: 'quiet' }, ...rich(about)))
  })
  if (rows.length > 0) form.append(element('table', {}, ...rows))
  const text = body && element('textarea', { className: 'value', value: '{\n  \n}', ariaLabel: 'Body' })
  if (text) form.append(element('h3', {}, 'Try it'), text)
  const output = element('div', {})
  form.append(element('button', {}, `Send ${method.toUpperCase()}`), output)
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void send({ method, url: urlOf(path, inputs), body: text?.value }, output)
  })
  return form
}

function urlOf(path, inputs) {
  const query = new URLSearchParams()
  let url = path
  for (const { parameter, input } of inputs) {
    if (parameter.in === 'path') url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value))
    else if (input.value !== '') query.set(parameter.name, input.value)
  }
  return query.size > 0 ? `${url}?${query}` : url
}

async function send({ method, url, body }, output) {
  output.replaceChildren(element('p', { className: 'quiet' }, 'Sending…'))
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  try {
    const answer = await fetch(url, { method: method.toUpperCase(), headers, body })
    const head = element('p', {}, element('code', {}, `${answer.status} ${answer.statusText} `), element('small', {}, url))
    output.replaceChildren(head, element('pre', {}, await textOf(answer)))
  } catch (error) {
    output.replaceChildren(element('p', {}, `No answer: ${error.message}`))
  }
}

async function textOf(answer) {
  const type = answer.headers.get('content-type') ?? ''
  if (type.startsWith('video/')) {
    await answer.body?.cancel()
    return `${type}, ${answer.headers.get('content-length')} bytes`
  }
  const text = await answer.text()
  return type.includes('json') ? JSON.stringify(JSON.parse(text), null, 2) : text
}

function filterRoutes() {
  const words = search.value.toLowerCase().split(/\s+/)
  for (const details of main.querySelectorAll('details.route')) {
    details.hidden = !words.every((word) => details.dataset.text.includes(word))
  }
  for (const section of main.children) section.hidden = !section.querySelector('details.route:not([hidden])')
}

function openLinked() {
  const linked = document.getElementById(decodeURIComponent(location.hash.slice(1)))
  if (!linked) return
  linked.open = true
  linked.scrollIntoView()
}
