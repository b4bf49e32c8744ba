/** A gRPC server over a log of its own, for benchmarks: prints its port, ends with its standard input. */
import { startGrpcServer } from '../../src/servers/grpc/grpc.fixture.ts'

await using server = await startGrpcServer()
console.log(server.server.port)
for await (const _ of process.stdin);
