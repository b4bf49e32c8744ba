import { field, message } from '../message.ts'
import { serverStream, unary, type ProtoFile, type Service } from '../service.ts'
import { enumeration, string } from '../types.ts'

// The health checking protocol of gRPC: https://github.com/grpc/grpc/blob/master/doc/health-checking.md

export const servingStatus = enumeration('HealthCheckResponse.ServingStatus', {
  UNKNOWN: 0,
  SERVING: 1,
  NOT_SERVING: 2,
  SERVICE_UNKNOWN: 3,
})
export const healthCheckRequest = message('HealthCheckRequest', { service: field(1, string) })
export const healthCheckResponse = message('HealthCheckResponse', { status: field(1, servingStatus) })

export const healthService = {
  name: 'Health',
  methods: {
    Check: unary(healthCheckRequest, healthCheckResponse),
    Watch: serverStream(healthCheckRequest, healthCheckResponse),
  },
} satisfies Service

export const healthFile: ProtoFile = {
  name: 'grpc/health/v1/health.proto',
  package: 'grpc.health.v1',
  messages: [healthCheckRequest, healthCheckResponse],
  enumerations: [servingStatus],
  services: [healthService],
}
