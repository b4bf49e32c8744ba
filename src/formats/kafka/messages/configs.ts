import { array, bool, int16, int32, int8, nullableArray, nullableString, since, string, struct, until } from '../codec.ts'

/** DescribeConfigs, api key 32. Null keys ask for all. https://kafka.apache.org/protocol.html#The_Messages_DescribeConfigs */
export const describeConfigsRequest = struct({
  resources: array(struct({ resourceType: int8, resourceName: string, configurationKeys: nullableArray(string) })),
  includeSynonyms: since(1, bool, false),
  includeDocumentation: since(3, bool, false),
})

export const describeConfigsResponse = struct({
  throttleTimeMs: int32,
  results: array(
    struct({
      errorCode: int16,
      errorMessage: nullableString,
      resourceType: int8,
      resourceName: string,
      configs: array(
        struct({
          name: string,
          value: nullableString,
          readOnly: bool,
          isDefault: until(0, bool, false),
          configSource: since(1, int8, -1),
          isSensitive: bool,
          synonyms: since(1, array(struct({ name: string, value: nullableString, source: int8 })), []),
          configType: since(3, int8, 0),
          documentation: since(3, nullableString, null),
        }),
      ),
    }),
  ),
})

/** AlterConfigs, api key 33. https://kafka.apache.org/protocol.html#The_Messages_AlterConfigs */
export const alterConfigsRequest = struct({
  resources: array(
    struct({
      resourceType: int8,
      resourceName: string,
      configs: array(struct({ name: string, value: nullableString })),
    }),
  ),
  validateOnly: bool,
})

/** IncrementalAlterConfigs, api key 44. https://kafka.apache.org/protocol.html#The_Messages_IncrementalAlterConfigs */
export const incrementalAlterConfigsRequest = struct({
  resources: array(
    struct({
      resourceType: int8,
      resourceName: string,
      configs: array(struct({ name: string, configOperation: int8, value: nullableString })),
    }),
  ),
  validateOnly: bool,
})

/** What both ways of altering answer. */
export const alterConfigsResponse = struct({
  throttleTimeMs: int32,
  responses: array(struct({ errorCode: int16, errorMessage: nullableString, resourceType: int8, resourceName: string })),
})
