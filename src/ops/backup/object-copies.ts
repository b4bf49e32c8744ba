import { createReadStream } from 'node:fs'
import type { ObjectStore } from '#store/objects/object-store.ts'
import type { BackupCopies } from './backup-keeper.ts'
import { manifestName } from './manifest.ts'

/** Copies of backups in the object store, under `backups/`; the manifest comes last and goes first. */
export function objectCopies(objects: Pick<ObjectStore, 'put' | 'delete'>): BackupCopies {
  return {
    async store({ path, manifest }, signal) {
      const { file, sizeBytes } = manifest
      await objects.put(keyOf(file), { stream: createReadStream(path), sizeBytes }, { signal })
      const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)
      await objects.put(keyOf(manifestName(file)), text, { contentType: 'application/json', signal })
    },
    async remove(backups) {
      for (const { manifest } of backups) {
        await objects.delete(keyOf(manifestName(manifest.file)))
        await objects.delete(keyOf(manifest.file))
      }
    },
  }
}

function keyOf(file: string): string {
  return `backups/${file}`
}
