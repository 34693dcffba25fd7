-- What LangGraph's SQLite checkpointer leaves: its tables, and one conversation of 2025.
CREATE TABLE checkpoints (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
    parent_checkpoint_id TEXT, type TEXT, checkpoint BLOB, metadata BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE TABLE writes (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL, idx INTEGER NOT NULL, channel TEXT NOT NULL, type TEXT, value BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
);
INSERT INTO checkpoints VALUES ('a thread', '', '1ef4f797-8335-6428-8001-8a1503f9b875', NULL, 'json', CAST('
    {"v": 1, "ts": "2025-01-01T10:00:00+00:00", "id": "1ef4f797-8335-6428-8001-8a1503f9b875",
     "channel_values": {"messages": [
       {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "hello"}},
       {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"], "kwargs": {"content": "hi"}}]},
     "channel_versions": {}, "versions_seen": {}, "pending_sends": []}' AS BLOB), CAST('{}' AS BLOB));
