"""Qdrant's own local engine behind gRPC: what Qdrant's Python client does without a server, asked as a server is; with `--edge` Qdrant
Edge, which is the server's engine as a library.

Prints the port it listens on (`--port`); ends when its standard input does. Counts nothing and remembers nothing but what the engine
holds. `--key` wants that key as a server does, `--version` says another version than the engine's.
"""

import argparse
import os
import sys
import threading
import time
import warnings
from concurrent import futures

import grpc
from qdrant_client import grpc as q
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc, qdrant_pb2_grpc
from qdrant_client.local.qdrant_local import QdrantLocal

LOCK = threading.Lock()


class Key(grpc.ServerInterceptor):
    def __init__(self, key):
        def refuse(_request, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Must provide an API key or an Authorization bearer token")

        self.key, self.refusal = key, grpc.unary_unary_rpc_method_handler(refuse)

    def intercept_service(self, continuation, details):
        if self.key and ("api-key", self.key) not in details.invocation_metadata:
            return self.refusal
        return continuation(details)


def asked(work):
    """One at a time; what the engine refuses is told as the server tells it."""

    def answer(self, request, context):
        with LOCK:
            try:
                return work(self, request)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                missing = "not found" in str(error)
                code = grpc.StatusCode.NOT_FOUND if missing else grpc.StatusCode.INVALID_ARGUMENT
                context.abort(code, str(error))

    return answer


class Health(qdrant_pb2_grpc.QdrantServicer):
    def __init__(self, version):
        self.version = version

    def HealthCheck(self, request, context):
        return q.HealthCheckReply(title="qdrant", version=self.version)


class Collections(collections_service_pb2_grpc.CollectionsServicer):
    def __init__(self, engine, indexes):
        self.engine, self.indexes = engine, indexes

    @asked
    def CollectionExists(self, request):
        exists = self.engine.collection_exists(request.collection_name)
        return q.CollectionExistsResponse(result=q.CollectionExists(exists=exists))

    @asked
    def Get(self, request):
        info = RestToGrpc.convert_collection_info(self.engine.get_collection(request.collection_name))
        for field in self.indexes.get(request.collection_name, ()):
            # The engine needs none, and so keeps none.
            info.payload_schema[field].data_type = q.PayloadSchemaType.Keyword
        return q.GetCollectionInfoResponse(result=info)

    @asked
    def Create(self, request):
        self.engine.create_collection(
            request.collection_name,
            vectors_config=GrpcToRest.convert_vectors_config(request.vectors_config),
            sparse_vectors_config=GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config),
            metadata=GrpcToRest.convert_payload(request.metadata) or None,
        )
        return q.CollectionOperationResponse(result=True)

    @asked
    def Delete(self, request):
        self.indexes.pop(request.collection_name, None)
        return q.CollectionOperationResponse(result=self.engine.delete_collection(request.collection_name))


class Points(points_service_pb2_grpc.PointsServicer):
    def __init__(self, engine, indexes, given):
        self.engine, self.indexes = engine, indexes
        self.hang, self.put_off = given.hang_searches, given.put_off

    def done(self, status=q.UpdateStatus.Completed):
        return q.PointsOperationResponse(result=q.UpdateResult(operation_id=0, status=status))

    @asked
    def Upsert(self, request):
        if self.put_off and os.path.exists(self.put_off):
            return self.done(q.UpdateStatus.Acknowledged)
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        self.engine.upsert(request.collection_name, points)
        return self.done()

    @asked
    def Delete(self, request):
        self.engine.delete(request.collection_name, GrpcToRest.convert_points_selector(request.points))
        return self.done()

    @asked
    def CreateFieldIndex(self, request):
        self.engine.get_collection(request.collection_name)
        if hasattr(self.engine, "index"):
            self.engine.index(request.collection_name, request.field_name)
        self.indexes.setdefault(request.collection_name, set()).add(request.field_name)
        return self.done()

    @asked
    def Get(self, request):
        found = self.engine.retrieve(
            request.collection_name,
            [GrpcToRest.convert_point_id(id) for id in request.ids],
            with_payload=GrpcToRest.convert_with_payload_interface(request.with_payload),
        )
        return q.GetResponse(result=[RestToGrpc.convert_retrieved_point(point) for point in found])

    @asked
    def Scroll(self, request):
        found, after = self.engine.scroll(
            request.collection_name,
            limit=request.limit,
            offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            with_payload=GrpcToRest.convert_with_payload_interface(request.with_payload),
        )
        return q.ScrollResponse(
            result=[RestToGrpc.convert_retrieved_point(point) for point in found],
            next_page_offset=None if after is None else RestToGrpc.convert_extended_point_id(after),
        )

    def QueryBatch(self, request, context):
        # Nobody else waits for it.
        while self.hang and os.path.exists(self.hang):
            time.sleep(0.05)
        return self.query(request, context)

    @asked
    def query(self, request):
        queries = [GrpcToRest.convert_query_points(query) for query in request.query_points]
        answers = self.engine.query_batch_points(request.collection_name, queries)
        return q.QueryBatchResponse(
            result=[
                q.BatchResult(result=[RestToGrpc.convert_scored_point(point) for point in answer.points])
                for answer in answers
            ]
        )


def edge():
    from edge import Edge

    return Edge()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--key")
    options.add_argument("--version", default="1.20.0")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--edge", action="store_true")
    options.add_argument("--hang-searches", help="while there is a file of this name, searches do not answer")
    options.add_argument("--put-off", help="while there is a file of this name, points are taken note of and not put in")
    given = options.parse_args()
    # That is asked of the server.
    warnings.filterwarnings("ignore", message="Local mode performs exact")
    engine = edge() if given.edge else QdrantLocal(":memory:", force_disable_check_same_thread=True)
    indexes = {}
    server = grpc.server(futures.ThreadPoolExecutor(32), interceptors=[Key(given.key)])
    qdrant_pb2_grpc.add_QdrantServicer_to_server(Health(given.version), server)
    collections_service_pb2_grpc.add_CollectionsServicer_to_server(Collections(engine, indexes), server)
    points = Points(engine, indexes, given)
    points_service_pb2_grpc.add_PointsServicer_to_server(points, server)
    port = server.add_insecure_port(f"127.0.0.1:{given.port}")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0)


main()
