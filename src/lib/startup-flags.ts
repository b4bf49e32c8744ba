import { setFlagsFromString } from 'node:v8'

/**
 * How V8 is to collect; import it before anything else that is compiled, since compiled code that is kept is used only under the flags that it was made with.
 *
 * Media is memory outside V8's heap, which by default makes it collect often: 50 MB/s of frames cost 5 full collections a second over 35 MB of
 * objects. Counted as heap, it is collected when half of what was left has been added. 100 recorded and packaged streams of 4 Mbit/s:
 *   growing percent            20     50    100    200
 *   cores                    0.14   0.14   0.15   0.13
 *   of which V8's threads   0.026  0.026  0.020  0.013
 *   resident MB               529    582    647    958
 *   event loop p99 ms          31     24     16     21
 */
setFlagsFromString('--external-memory-accounted-in-global-limit')
setFlagsFromString('--heap-growing-percent=50')
