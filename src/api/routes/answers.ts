import { Type } from 'typebox'
import { errorBodySchema } from '../contract.ts'

/** What any route may answer besides its own: an error in the one shape. */
export const failures = { '4xx': errorBodySchema, '5xx': errorBodySchema } as const

/** 204: done, and nothing to say. */
export const noContentSchema = Type.Null({ description: 'Done.' })
