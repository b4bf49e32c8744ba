/**
 * The few file operations that the write-ahead log needs, so that a simulator can be the disk. All fail with the system's errors as Node gives them
 * (`code`: ENOSPC, EIO, …); what has no other word is durable only after `sync` or `syncDirectory`.
 */
export interface Disk {
  /** Makes the directory and those above it, durably; nothing happens when it is there. */
  makeDirectory(path: string): Promise<void>
  /** Names of the files in a directory. */
  list(path: string): Promise<string[]>
  /** Opens for reading and writing. A new file must not be there yet. */
  open(path: string, options: { readonly isNew: boolean }): Promise<DiskFile>
  /** Replaces `to`. */
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Makes the names in a directory durable: of new, renamed and removed files. */
  syncDirectory(path: string): Promise<void>
  /** What this process may still use of the file system that holds `path`. */
  freeBytes(path: string): Promise<number>
  /** Makes the caller the only process that uses a directory, until disposed of or the process ends. Throws `LOG_UNAVAILABLE` that names the holder. */
  lock(path: string): Promise<AsyncDisposable>
}

/** An open file; disposing of it closes it. */
export interface DiskFile extends AsyncDisposable {
  sizeBytes(): Promise<number>
  /** In memory of its own; shorter at the end of the file. */
  read(position: number, lengthBytes: number): Promise<Buffer>
  /** All of it, or an error after some of it. */
  write(position: number, chunks: readonly Buffer[]): Promise<void>
  /** The same, and it survives a power cut when this returns: one wait where `write` and `sync` are two. The file is not to grow by it. */
  writeSynced(position: number, chunks: readonly Buffer[]): Promise<void>
  /** Zeros that survive a power cut when this returns, past the page cache where that can be: nobody reads them. */
  writeZeros(position: number, lengthBytes: number): Promise<void>
  /** Cuts the file. */
  truncate(sizeBytes: number): Promise<void>
  /** What was written, and the size, survive a power cut. */
  sync(): Promise<void>
}

/** Whether an operation failed because there is no space left, which may pass. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}
