import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { apiDocuments } from '#api/api-documents.ts'
import { errorDocument } from '#lib/errors.ts'
import { settingsDocuments } from '#roles/settings-documents.ts'

/** Writes the files that are made from code. A test fails when they are stale. */
const root = join(import.meta.dirname, '..')
const documents = [...settingsDocuments(), ...(await apiDocuments()), { path: 'docs/errors.md', text: errorDocument() }]
for (const { path, text } of documents) {
  writeFileSync(join(root, path), text)
  console.log(`wrote ${path}`)
}
