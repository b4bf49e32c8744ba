import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

const server = process.env['MILLRACE_URL'] ?? 'http://127.0.0.1:3000'

/** `npx vite web` serves the sources against a running Millrace; `vite build web` writes `web/dist`, which Millrace serves. */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [vue()],
  build: { outDir: 'dist', emptyOutDir: true, chunkSizeWarningLimit: 800 },
  server: { proxy: { '/api': { target: server, ws: true }, '/hls': server } },
})
