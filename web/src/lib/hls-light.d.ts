/** hls.js without subtitles, alternate audio and DRM, none of which Millrace sends; the package has no types of its own for it. */
declare module 'hls.js/light' {
  export * from 'hls.js'
  export { default } from 'hls.js'
}
