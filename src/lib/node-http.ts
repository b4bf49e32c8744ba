/**
 * `node:http` for whoever needs more of it than types. An `import` of it reads everything that it exports, and one of those loads all of `fetch`: 12 MB,
 * which an idle server would carry. A test sees to it that nobody imports it.
 */
export const http = process.getBuiltinModule('node:http')
