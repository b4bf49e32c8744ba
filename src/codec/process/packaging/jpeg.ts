import { AV_CODEC_FLAG_QSCALE, AV_PIX_FMT_YUVJ420P, AVCOL_RANGE_JPEG, FF_QP2LAMBDA } from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, Frame, Packet, Rational } from 'node-av/lib'

/** Name of the pixel format that pictures must have. */
export const jpegPixelFormat = 'yuvj420p'
/** Of the JPEG's colours, as filters name them: BT.601 in full range is what JFIF means. */
export const jpegColor = { primaries: 'bt709', transfer: 'bt709', matrix: 'bt470bg', range: 'pc' } as const
/** 2 is best, 31 worst; about what cameras call 90. */
const quantizer = 3

/** A picture as a JPEG. */
export function encodeJpeg(picture: Frame): Buffer {
  using context = new CodecContext()
  using packet = new Packet()
  const codec = Codec.getCodecList().find((listed) => listed.isEncoder() && listed.name === 'mjpeg')
  if (!codec) throw new Error('this FFmpeg build makes no JPEG')
  context.allocContext3(codec)
  context.width = picture.width
  context.height = picture.height
  context.pixelFormat = AV_PIX_FMT_YUVJ420P
  context.colorRange = AVCOL_RANGE_JPEG
  context.timeBase = new Rational(1, 25)
  context.setFlags(AV_CODEC_FLAG_QSCALE)
  context.globalQuality = FF_QP2LAMBDA * quantizer
  FFmpegError.throwIfError(context.open2Sync(codec), 'open the JPEG encoder')
  picture.pts = 0n
  picture.quality = FF_QP2LAMBDA * quantizer
  packet.alloc()
  FFmpegError.throwIfError(context.sendFrameSync(picture), 'make a JPEG')
  FFmpegError.throwIfError(context.receivePacketSync(packet), 'make a JPEG')
  return Buffer.from(packet.data ?? Buffer.alloc(0))
}

/** Planes of Y, U and V behind each other, without padding; width and height are even. */
export class Planes {
  readonly width: number
  readonly height: number
  readonly bytes: Buffer

  /** Black, or `bytes` as a frame gives them. */
  constructor(width: number, height: number, bytes?: Buffer) {
    this.width = width
    this.height = height
    this.bytes = bytes ?? Buffer.alloc((width * height * 3) / 2, 128).fill(0, 0, width * height)
  }

  /** Puts a smaller picture at even coordinates. */
  put(picture: Planes, x: number, y: number): void {
    for (const plane of [0, 1, 2]) {
      const unit = plane === 0 ? 1 : 2
      const rowBytes = picture.width / unit
      for (let row = 0; row < picture.height / unit; row++) {
        const from = picture.#offset(plane) + row * rowBytes
        const to = this.#offset(plane) + (y / unit + row) * (this.width / unit) + x / unit
        picture.bytes.copy(this.bytes, to, from, from + rowBytes)
      }
    }
  }

  /** The first `height` rows as a JPEG. */
  encode(height: number): Buffer {
    const cut = new Planes(this.width, height)
    const size = this.width * height
    this.bytes.copy(cut.bytes, 0, 0, size)
    for (const plane of [1, 2])
      this.bytes.copy(cut.bytes, cut.#offset(plane), this.#offset(plane), this.#offset(plane) + size / 4)
    using frame = Frame.fromVideoBuffer(cut.bytes, { width: this.width, height, format: AV_PIX_FMT_YUVJ420P })
    frame.colorRange = AVCOL_RANGE_JPEG
    return encodeJpeg(frame)
  }

  #offset(plane: number): number {
    const size = this.width * this.height
    return plane === 0 ? 0 : size + ((plane - 1) * size) / 4
  }
}
