/** A record batch as kafkajs 2.2.4 writes it: one record, key "key-1", value "value-1", header h = v, transactional. */
export const sampleBatch = Buffer.from(
  '00000000000000000000004800000000020314bb710010000000000000018bcfe568000000018bcfe56800ffffffffffffffff0000' +
    '00000000000000012c0000000a6b65792d310e76616c75652d310202680276',
  'hex',
)
