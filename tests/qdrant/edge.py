"""Qdrant Edge, the server's engine as a library, in the place of what Qdrant's Python client does without a server.

As much of it as the bridge asks for: what a collection is like stands where it did, its points are in a shard of Edge.
"""

import tempfile

import qdrant_edge as edge
from qdrant_client import models
from qdrant_client.http import models as http
from qdrant_client.local.qdrant_local import QdrantLocal


def vector(given):
    return edge.SparseVector(given.indices, given.values) if isinstance(given, models.SparseVector) else given


def narrowed(given):
    """A filter: values that have to be there."""
    must = [edge.FieldCondition(key=one.key, match=edge.MatchValue(one.match.value)) for one in given.must]
    return edge.Filter(must=must)


def selected(payload):
    return getattr(payload, "include", payload)


def query(given):
    params = {"exact": bool(given.params.exact)}
    if given.params.idf:
        params["idf"] = edge.IdfParams(corpus=narrowed(given.params.idf.corpus))
    return edge.QueryRequest(
        limit=given.limit,
        query=edge.Query.Nearest(vector(given.query.nearest), given.using),
        filter=narrowed(given.filter),
        params=edge.SearchParams(**params),
        with_payload=selected(given.with_payload),
    )


def record(point):
    return models.Record(id=str(point.id), payload=point.payload)


def scored(point):
    return models.ScoredPoint(id=str(point.id), version=point.version, score=point.score, payload=point.payload)


class Edge(QdrantLocal):
    def __init__(self):
        super().__init__(":memory:", force_disable_check_same_thread=True)
        self.shards = {}

    def shard(self, name):
        self._get_collection(name)
        return self.shards[name][0]

    def create_collection(self, collection_name, vectors_config=None, sparse_vectors_config=None, **more):
        made = super().create_collection(collection_name, vectors_config, sparse_vectors_config, **more)
        dense = {name: edge.EdgeVectorParams(one.size, edge.Distance.Cosine) for name, one in vectors_config.items()}
        sparse = {name: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf) for name in sparse_vectors_config}
        place = tempfile.TemporaryDirectory()
        self.shards[collection_name] = (edge.EdgeShard.create(place.name, edge.EdgeConfig(dense, sparse)), place)
        return made

    def delete_collection(self, collection_name, **more):
        self.shards.pop(collection_name, None)
        return super().delete_collection(collection_name, **more)

    def index(self, collection_name, field):
        schema = edge.KeywordIndexParams(is_tenant=True)
        self.shard(collection_name).update(edge.UpdateOperation.create_field_index(field, schema))

    def upsert(self, collection_name, points, **_):
        made = [
            edge.Point(one.id, {name: vector(given) for name, given in one.vector.items()}, one.payload) for one in points
        ]
        self.shard(collection_name).update(edge.UpdateOperation.upsert_points(made))

    def delete(self, collection_name, points_selector, **_):
        self.shard(collection_name).update(edge.UpdateOperation.delete_points(points_selector.points))

    def retrieve(self, collection_name, ids, with_payload=True, **_):
        return [record(one) for one in self.shard(collection_name).retrieve(ids, selected(with_payload), False)]

    def scroll(self, collection_name, limit=10, offset=None, with_payload=True, **_):
        page = edge.ScrollRequest(offset=offset, limit=limit, with_payload=selected(with_payload))
        found, after = self.shard(collection_name).scroll(page)
        return [record(one) for one in found], None if after is None else str(after)

    def query_batch_points(self, collection_name, requests, **_):
        answers = self.shard(collection_name).query_batch(edge.QueryBatchRequest([query(one) for one in requests]))
        return [http.QueryResponse(points=[scored(one) for one in answer]) for answer in answers]
