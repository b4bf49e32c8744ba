/**
 * `LogMetadata` in SQLite or PostgreSQL. What changes many rows does it with one statement (`rowSet`); what could change without end does it in steps of
 * bounded size, each its own transaction, with a turn of the event loop in between.
 *
 * Locks (PostgreSQL), always in this order, rows of one table by their key: topic, object to commit, partitions, objects that lose extents.
 *
 *   sql-topics ─► sql-removal ─┐
 *   sql-commit ────────────────┼─► sql-partitions (locks), sql-objects (references)
 *   sql-extents ───────────────┘
 *   sql-producers, sql-groups, sql-offsets, sql-access
 */
import type { Database } from '#store/sql/schema.ts'
import type { LogMetadata } from './log-metadata.ts'
import { addAcls, deleteScramCredential, loadAcls, loadScramCredentials, removeAcls, saveScramCredential } from './sql-access.ts'
import { commitObject } from './sql-commit.ts'
import { advanceLogStart, findExtentByTime, findExtents, oldestExtents } from './sql-extents.ts'
import { deleteGroup, loadGroups, saveGroup } from './sql-groups.ts'
import { abandonObjects, findDeletable, forgetObjects, listObjects, reserveObjects } from './sql-objects.ts'
import { commitOffsets, deleteOffsets, expireOffsets, loadOffsets } from './sql-offsets.ts'
import { acquirePartitions, confirmAgent, raiseCeiling, registerAgent, releasePartitions } from './sql-partitions.ts'
import { allocateProducerIds, expireProducers, loadProducers } from './sql-producers.ts'
import { finishRemovals } from './sql-removal.ts'
import { addPartitions, configureTopic, createTopic, deleteTopic, loadTopics } from './sql-topics.ts'

/** The metadata of the event log in a database that is open and migrated; the caller keeps the database and closes it. */
export function sqlLogMetadata(database: Database): LogMetadata {
  const { db } = database
  return {
    registerAgent: (agent) => registerAgent(db, agent),
    confirmAgent: (agentId) => confirmAgent(db, agentId),
    loadTopics: () => loadTopics(db),
    createTopic: (topic) => createTopic(database, topic),
    configureTopic: (topic) => configureTopic(db, topic),
    addPartitions: (topic) => addPartitions(database, topic),
    deleteTopic: (topic) => deleteTopic(database, topic),
    acquirePartitions: (request) => acquirePartitions(database, request),
    raiseCeiling: (request) => raiseCeiling(db, request),
    releasePartitions: (request) => releasePartitions(database, request),
    reserveObjects: (request) => reserveObjects(database, request),
    commitObject: (commit) => commitObject(database, commit),
    findExtents: (request) => findExtents(db, request),
    findExtentByTime: (request) => findExtentByTime(db, request),
    advanceLogStart: (request) => advanceLogStart(database, request),
    oldestExtents: (request) => oldestExtents(db, request),
    async abandonObjects(request) {
      await finishRemovals(database, request)
      return await abandonObjects(database, request)
    },
    findDeletable: (request) => findDeletable(db, request),
    forgetObjects: (ids) => forgetObjects(database, ids),
    listObjects: (request) => listObjects(db, request),
    loadProducers: (partitionIds) => loadProducers(database, partitionIds),
    allocateProducerIds: (count) => allocateProducerIds(db, count),
    expireProducers: (request) => expireProducers(database, request),
    loadGroups: () => loadGroups(db),
    saveGroup: (group) => saveGroup(db, group),
    deleteGroup: (groupId) => deleteGroup(db, groupId),
    commitOffsets: (commits) => commitOffsets(database, commits),
    loadOffsets: (groupId) => loadOffsets(db, groupId),
    deleteOffsets: (request) => deleteOffsets(database, request),
    expireOffsets: (request) => expireOffsets(db, request),
    loadAcls: () => loadAcls(db),
    addAcls: (acls) => addAcls(database, acls),
    removeAcls: (acls) => removeAcls(database, acls),
    loadScramCredentials: () => loadScramCredentials(db),
    saveScramCredential: (row) => saveScramCredential(db, row),
    deleteScramCredential: (request) => deleteScramCredential(db, request),
  }
}
