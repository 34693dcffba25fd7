"""Lets LangGraph's own SQLite saver write databases, and prints what is in them.

    write.py everything FILE            threads of every kind
    write.py more FILE                  goes on with two of them
    write.py many FILE THREADS TURNS    a lot of the same
    write.py killed FILE                dies with the write-ahead log still to be applied

Prints one JSON object: thread -> [[role, text, milliseconds], ...] in the order in which it was said.
"""

import json
import operator
import os
import sqlite3
import sys
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    message_to_dict,
)
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import id as ids
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import _messages_delta_reducer
from langgraph.pregel import _checkpoint
from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict


class Clock:
    """The time LangGraph sees, in its ids and in its time stamps."""

    def __init__(self):
        self.at = datetime(2019, 3, 1, 8, 0, 0, 125000, tzinfo=timezone.utc)

    def advance(self, **span):
        self.at += timedelta(**span)

    @property
    def millis(self):
        return (self.at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)

    def time_ns(self):
        return self.millis * 1_000_000

    def now(self, _zone=None):
        return self.at


clock = Clock()
ids.time = clock
_checkpoint.datetime = clock


class Mood(Enum):
    CALM = "calm"


@dataclass
class Place:
    name: str
    since: date


class Profile(BaseModel):
    name: str
    born: datetime
    key: SecretStr = SecretStr("hidden")


class OldSerializer(JsonPlusSerializer):
    """Writes what LangGraph wrote before it used msgpack: JSON with constructors, and numbers that only Python knows."""

    def dumps_typed(self, obj):
        if isinstance(obj, dict) and "channel_values" in obj:
            strange = {"scores": [float("nan"), float("-inf")], "quoted": 'a \\ "NaN'}
            obj = {**obj, "channel_values": {**obj["channel_values"], **strange}}
        return "json", json.dumps(obj, default=dumpd, ensure_ascii=False).encode()


AUDIO = b"RIFF" + bytes(range(256)) * 800


def config(thread, namespace=None):
    configurable = {"thread_id": thread}
    if namespace is not None:
        configurable["checkpoint_ns"] = namespace
    return {"configurable": configurable}


def put(saver, thread, namespace, messages, channel="messages", **values):
    """One checkpoint, straight into the saver."""
    made = empty_checkpoint()
    made["id"] = str(ids.uuid6(clock_seq=1))
    made["ts"] = clock.at.isoformat()
    made["channel_values"] = {"audio_buffer": AUDIO, channel: messages, **values}
    made["channel_versions"] = {channel: 1}
    saver.put(config(thread, namespace), made, {"source": "loop", "step": 1, "audio": "UklGRg" * 1000}, {})


def conversation(saver, said, thread, turns, state=MessagesState, kind=HumanMessage, answer=AIMessage, **span):
    """Lets a graph with one node answer again and again."""
    words = lambda message: message["content"] if isinstance(message, dict) else message[1] if isinstance(message, (tuple, list)) else message.content

    def bot(now):
        return {"messages": [answer(content=f"answer to {words(now['messages'][-1])}")]}

    graph = StateGraph(state).add_node("bot", bot).add_edge(START, "bot").add_edge("bot", END).compile(checkpointer=saver)
    kept = said.setdefault(thread, [])
    for turn in range(turns):
        clock.advance(**(span or {"days": 1, "seconds": 7}))
        text = f"question {len(kept) // 2} of {thread[:4]}"
        graph.invoke({"messages": [kind(content=text)]}, config(thread))
        kept += [["user", text, clock.millis], ["assistant", f"answer to {text}", clock.millis]]


def summarised(saver, said, thread):
    """As the predecessor did: what is old is removed from the state and put into a summary."""

    class State(MessagesState):
        summary: str
        audio_buffer: bytes

    def bot(now):
        return {"messages": [AIMessage(f"answer to {now['messages'][-1].content}")], "audio_buffer": AUDIO}

    def summarise(now):
        return {"summary": "they talked", "messages": [RemoveMessage(id=m.id) for m in now["messages"][:-2]]}

    graph = StateGraph(State).add_node("bot", bot).add_node("summarise", summarise)
    graph.add_edge(START, "bot").add_edge("summarise", END)
    graph.add_conditional_edges("bot", lambda now: "summarise" if len(now["messages"]) > 6 else END)
    graph = graph.compile(checkpointer=saver)
    kept = said.setdefault(thread, [])
    for turn in range(40):
        clock.advance(days=20)
        text = "yes" if turn % 3 == 0 else f"remembered {turn}"
        graph.invoke({"messages": [("user", text)]}, config(thread))
        kept += [["user", text, clock.millis], ["assistant", f"answer to {text}", clock.millis]]


def with_subgraph(saver, said, thread):
    """A sub-graph keeps checkpoints of its own, in a namespace of its own, with the same messages."""

    def inner(now):
        return {"messages": [AIMessage(f"from within: {now['messages'][-1].content}")]}

    sub = StateGraph(MessagesState).add_node("inner", inner).add_edge(START, "inner").add_edge("inner", END).compile(checkpointer=True)
    graph = StateGraph(MessagesState).add_node("sub", sub).add_edge(START, "sub").add_edge("sub", END).compile(checkpointer=saver)
    kept = said.setdefault(thread, [])
    for turn in range(5):
        clock.advance(hours=3)
        graph.invoke({"messages": [HumanMessage(f"to the inside {turn}")]}, config(thread))
        kept += [["user", f"to the inside {turn}", clock.millis], ["assistant", f"from within: to the inside {turn}", clock.millis]]


def interrupted(saver, said, thread):
    """The model fails: the question stays without an answer, then the next one is answered."""
    broken = True

    def bot(now):
        if broken:
            raise RuntimeError("no model")
        return {"messages": [AIMessage("here I am")]}

    graph = StateGraph(MessagesState).add_node("bot", bot).add_edge(START, "bot").add_edge("bot", END).compile(checkpointer=saver)
    kept = said.setdefault(thread, [])
    for text, broken in [("are you there?", True), ("still there?", False), ("and now?", True)]:
        clock.advance(minutes=1)
        try:
            graph.invoke({"messages": [HumanMessage(text)]}, config(thread))
        except RuntimeError:
            pass
        kept.append(["user", text, clock.millis])
        if not broken:
            kept.append(["assistant", "here I am", clock.millis])


def every_kind(saver, said, thread):
    """Every message LangChain has, and every way to write one, one more in each checkpoint."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    call = {"name": "look_up", "args": {"what": "weather"}, "id": "call_1", "type": "tool_call"}
    steps = [
        (SystemMessage("be kind", id="s1"), None),
        (AIMessage("hello, I am here", id="a0"), "assistant"),
        (HumanMessage("plain words", id="h1", additional_kwargs={"audio": AUDIO}, response_metadata={"x": [1.5, None]}), "user"),
        (AIMessage("", id="a1", tool_calls=[call]), None),
        (ToolMessage("sunny", tool_call_id="call_1", id="t1", artifact={"raw": b"\x00\x01"}), None),
        (FunctionMessage("42", name="answer", id="f1"), None),
        (AIMessage([{"type": "thinking", "thinking": "hm", "signature": "x"}, {"type": "text", "text": "It is sunny."}], id="a2"), "assistant"),
        (HumanMessage([{"type": "text", "text": "what is this?"}, picture, sound], id="h2"), "user"),
        (AIMessageChunk("a picture", id="a3"), "assistant"),
        (HumanMessageChunk("in pieces", id="h3"), "user"),
        (ChatMessage("from the assistant role", role="assistant", id="c1"), "assistant"),
        (HumanMessage([picture], id="h4"), None),
        ({"role": "user", "content": "as a map"}, "user"),
        ({"type": "ai", "content": ["as ", {"type": "text", "text": "parts"}], "id": "d1"}, "assistant"),
        (("human", "as a pair"), "user"),
        (["ai", "as a list"], "assistant"),
        (message_to_dict(HumanMessage("as langchain stores it", id="m1")), "user"),
        (dumpd(AIMessage("as langchain dumps it", id="m2")), "assistant"),
        (HumanMessage("مرحبا 👩‍👩‍👧 zoë\u0000\u202e ﷽ \U0001f9ff", id="u1"), "user"),
        (AIMessage("long " * 400_000, id="l1"), "assistant"),
        (ChatMessage("of somebody else", role="moderator", id="c2"), None),
        (RemoveMessage(id="h1"), None),
        (12345, None),
    ]
    texts = {6: "It is sunny.", 7: "what is this?", 13: "as parts", 16: "as langchain stores it", 17: "as langchain dumps it"}
    kept = said.setdefault(thread, [])
    messages = []
    for step, (message, role) in enumerate(steps):
        clock.advance(days=45, microseconds=1)
        messages.append(message)
        if role:
            text = texts.get(step) or (message["content"] if isinstance(message, dict) else message[1] if isinstance(message, (tuple, list)) else message.content)
            kept.append([role, text.strip(), clock.millis])
        put(
            saver, thread, "", messages,
            mood=Mood.CALM, place=Place("home", date(2020, 2, 29)), born=datetime(1999, 12, 31, 23, 59, tzinfo=timezone.utc),
            profile=Profile(name="Zoë", born=datetime(2000, 1, 1)), wait=timedelta(seconds=3), price=Decimal("1.10"),
            some=uuid.UUID(int=7), where=Path("/tmp/x"), seen={1, 2}, queue=deque([HumanMessage("not said")]), odd={1: {2.5: None}},
            failure=ValueError("no"), deep=json.loads("[" * 200 + "]" * 200), other=[HumanMessage("not said either")],
        )


class Nameless(TypedDict):
    messages: Annotated[list[Any], operator.add]


class Differences(TypedDict):
    messages: Annotated[list, DeltaChannel(_messages_delta_reducer, snapshot_frequency=7)]


def everything(saver, file):
    said = {}
    conversation(saver, said, thread="6f1c8a52-31d0-4c1e-9d1e-0123456789ab", turns=120, days=11, hours=5)
    clock.at = datetime(2020, 6, 1, tzinfo=timezone.utc)
    summarised(saver, said, "+491700000000")
    with_subgraph(saver, said, "2b2c8a52-31d0-4c1e-8d1e-0123456789ab")
    interrupted(saver, said, "9a2c8a52-31d0-4c1e-8d1e-0123456789ab")
    every_kind(saver, said, "ünïcode 'thread' 🧵")
    clock.at = datetime(2024, 1, 1, tzinfo=timezone.utc)
    conversation(saver, said, "nameless", 9, Nameless, lambda content: {"role": "user", "content": content}, lambda content: ("ai", content))
    conversation(saver, said, "differences", 20, Differences)
    conversation(SqliteSaver(saver.conn, serde=OldSerializer()), said, "1", 4)
    for namespace in ["left", "right"]:
        clock.advance(hours=1)
        said[f"no root/{namespace}"] = [["user", f"on the {namespace}", clock.millis]]
        put(saver, "no root", namespace, [HumanMessage(f"on the {namespace}", id="same")])
    put(saver, "silent", "", [SystemMessage("be kind")])
    put(saver, "stateless", "", 7, channel="count")
    return said


def more(saver, file):
    said = {}
    # Earlier than the last ids of `everything`: the clock was set back before the predecessor was started again.
    clock.at = datetime(2025, 1, 1, tzinfo=timezone.utc)
    said["nameless"] = [[]] * 18
    conversation(saver, said, "nameless", 3, Nameless, lambda content: {"role": "user", "content": content}, lambda content: ("ai", content))
    interrupted_thread = "9a2c8a52-31d0-4c1e-8d1e-0123456789ab"
    put(saver, interrupted_thread, "", [HumanMessage("late", id="late"), AIMessage("better late", id="later")])
    said[interrupted_thread] = [["user", "late", clock.millis], ["assistant", "better late", clock.millis]]
    return {thread: [message for message in kept if message] for thread, kept in said.items()}


def many(saver, file, threads, turns):
    said = {}
    for _ in range(int(threads)):
        conversation(saver, said, str(uuid.uuid4()), int(turns), minutes=1)
        clock.at = datetime(2025, 3, 1, tzinfo=timezone.utc)
    return said


def killed(saver, file):
    said = {}
    conversation(saver, said, "6f1c8a52-31d0-4c1e-9d1e-0123456789ab", 5)
    return said


def main(scenario, file, *numbers):
    connection = sqlite3.connect(file, check_same_thread=False)
    print(json.dumps(globals()[scenario](SqliteSaver(connection), file, *numbers)))
    if scenario == "killed":
        sys.stdout.flush()
        os._exit(0)
    connection.close()


main(*sys.argv[1:])
