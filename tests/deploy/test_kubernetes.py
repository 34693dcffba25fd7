"""deploy/kubernetes: valid by Kubernetes' own schemas, and what the maintenance contract says of it."""

import unittest

import kubernetes_validate
from kustomize import files, identity, render
from project import DEPLOY, SCHEDULE, VERSION, Case

PLACE = DEPLOY / "kubernetes"
OVERLAYS = ("overlays/metrics", "overlays/qdrant")
KUSTOMIZATIONS = {name: render(PLACE / name) for name in ("base", "restore", "restore-encrypted", *OVERLAYS)}
RESTORES = ("restore", "restore-encrypted")
# The oldest whose schema lets a podFailurePolicy rule go without pod conditions, and the newest there is a schema of.
VERSIONS = ("1.29.0", "1.37.0")


def pod(resource):
    """The pod template of a workload, or None."""
    spec = resource.get("spec", {})
    return spec.get("jobTemplate", {}).get("spec", spec).get("template") if resource["kind"] != "Pod" else resource


def workloads():
    for name, resources in KUSTOMIZATIONS.items():
        for resource in resources:
            if pod(resource):
                yield f"{name}: {resource['kind']} {resource['metadata']['name']}", resource


def find(kind, name, kustomization="base"):
    (found,) = [r for r in KUSTOMIZATIONS[kustomization] if (r["kind"], r["metadata"]["name"]) == (kind, name)]
    return found


def cron_jobs():
    return {r["metadata"]["name"].removeprefix("companion-"): r for r in KUSTOMIZATIONS["base"] if r["kind"] == "CronJob"}

# What only the server is to know.
SECRETS = ("ACCESS_TOKEN", "ADMIN_TOKEN", "LLM_API_KEY", "STT_API_KEY", "TTS_API_KEY", "ELEVENLABS_API_KEY", "EMBEDDING_API_KEY", "QDRANT_API_KEY")


class Manifests(Case):
    def test_every_manifest_is_valid_by_kubernetes_own_schemas(self):
        for version in VERSIONS:
            for name, resources in KUSTOMIZATIONS.items():
                for resource in resources:
                    with self.subTest(version=version, kustomization=name, resource=identity(resource)):
                        kubernetes_validate.validate(resource, version, strict=True)

    def test_the_schemas_would_notice(self):
        broken = find("Deployment", "companion")
        broken = broken | {"spec": broken["spec"] | {"stratgy": {}}}
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)

    def test_every_file_is_part_of_a_kustomization(self):
        named = set().union(*(files(PLACE / name) for name in KUSTOMIZATIONS))
        self.assertEqual(named, {path for path in PLACE.rglob("*") if path.is_file()})

    def test_no_namespace_is_named(self):
        for name, resources in KUSTOMIZATIONS.items():
            for resource in resources:
                self.assertNotIn("namespace", resource["metadata"], name)

    def test_every_name_that_is_referred_to_exists(self):
        for kustomization in ("base", *OVERLAYS):
            has = {(r["kind"], r["metadata"]["name"]) for r in KUSTOMIZATIONS[kustomization]}
            for resource in sum((KUSTOMIZATIONS[name] for name in (kustomization, *RESTORES)), []):
                if not pod(resource):
                    continue
                spec = pod(resource)["spec"]
                claimed = {v["metadata"]["name"] for v in resource["spec"].get("volumeClaimTemplates", [])}
                volumes = {volume["name"] for volume in spec["volumes"]} | claimed
                for volume in spec["volumes"]:
                    if claim := volume.get("persistentVolumeClaim"):
                        self.assertIn(("PersistentVolumeClaim", claim["claimName"]), has)
                for container in spec["containers"]:
                    self.assertEqual({mount["name"] for mount in container["volumeMounts"]}, volumes)
                    for source in container.get("envFrom", []):
                        self.assertIn(("ConfigMap", source["configMapRef"]["name"]), has)

    def test_services_and_policies_select_pods_that_exist(self):
        for name in ("base", *OVERLAYS):
            pods = [pod(r)["metadata"]["labels"] for r in KUSTOMIZATIONS[name] if pod(r)]
            for resource in KUSTOMIZATIONS[name]:
                spec = resource.get("spec", {})
                for selector in (spec.get("selector"), spec.get("podSelector", {}).get("matchLabels")):
                    if resource["kind"] in ("Service", "NetworkPolicy") and selector:
                        self.assertTrue(any(selector.items() <= labels.items() for labels in pods), identity(resource))
                if resource["kind"] in ("Deployment", "StatefulSet"):
                    labels = pod(resource)["metadata"]["labels"]
                    self.assertLessEqual(spec["selector"]["matchLabels"].items(), labels.items())

    def test_the_settings_are_settings(self):
        for name in ("base", *OVERLAYS):
            self.knows(find("ConfigMap", "companion-settings", name)["data"], name)
        merged = find("ConfigMap", "companion-settings", "overlays/qdrant")["data"]
        self.assertLessEqual(find("ConfigMap", "companion-settings")["data"].items(), merged.items())
        self.assertEqual(merged["QDRANT_URL"], "http://companion-qdrant:6334")
        find("Service", "companion-qdrant", "overlays/qdrant")

    def test_prometheus_finds_the_metrics_and_the_server_its_token(self):
        template = pod(find("Deployment", "companion", "overlays/metrics"))
        told = {key.removeprefix("prometheus.io/"): value for key, value in template["metadata"]["annotations"].items()}
        (container,) = template["spec"]["containers"]
        (port,) = container["ports"]
        self.assertEqual(told, {"scrape": "true", "port": str(port["containerPort"]), "path": "/metrics"})
        (mount,) = [it for it in container["volumeMounts"] if it["name"] == "metrics-token"]
        (volume,) = [it for it in template["spec"]["volumes"] if it["name"] == "metrics-token"]
        self.assertEqual(volume["secret"], {"secretName": "companion-metrics-token", "defaultMode": 0o440})
        settings = find("ConfigMap", "companion-settings", "overlays/metrics")["data"]
        self.assertEqual(settings["METRICS_TOKEN_FILE"], f"{mount['mountPath']}/token")
        self.assertTrue(mount["readOnly"])
        made = (PLACE / "overlays/metrics/kustomization.yaml").read_text()
        self.assertIn("create secret generic companion-metrics-token --from-literal=token=", made)

    def test_every_image_has_a_version_and_ours_is_this_one(self):
        for where, resource in workloads():
            for container in pod(resource)["spec"]["containers"]:
                name, _, tag = container["image"].rpartition(":")
                self.assertTrue(name and tag and tag != "latest", where)
                if name == "companion":
                    self.assertEqual(tag, VERSION, where)


class Hardening(Case):
    def test_nobody_is_root_or_can_become_it(self):
        for where, resource in workloads():
            with self.subTest(where):
                spec = pod(resource)["spec"]
                context = spec["securityContext"]
                self.assertIs(context["runAsNonRoot"], True)
                self.assertGreater(context["runAsUser"], 0)
                self.assertGreater(context["runAsGroup"], 0)
                self.assertEqual(context["fsGroup"], context["runAsGroup"])
                self.assertEqual(context["fsGroupChangePolicy"], "OnRootMismatch")
                self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertIs(spec["automountServiceAccountToken"], False)
                self.assertFalse({"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec))
                for container in spec["containers"]:
                    own = container["securityContext"]
                    self.assertIs(own["allowPrivilegeEscalation"], False)
                    self.assertIs(own["readOnlyRootFilesystem"], True)
                    self.assertEqual(own["capabilities"], {"drop": ["ALL"]})
                    self.assertNotIn("privileged", own)

    def test_what_is_asked_for_and_the_most_there_is_are_told(self):
        for where, resource in workloads():
            for container in pod(resource)["spec"]["containers"]:
                for kind in ("requests", "limits"):
                    self.assertEqual(set(container["resources"][kind]), {"cpu", "memory", "ephemeral-storage"}, where)
            for volume in pod(resource)["spec"]["volumes"]:
                if "emptyDir" in volume:
                    self.assertIn("sizeLimit", volume["emptyDir"], where)

    def test_the_network_is_closed_but_for_what_is_named(self):
        deny = find("NetworkPolicy", "companion-deny-all")["spec"]
        self.assertEqual(set(deny), {"podSelector", "policyTypes"})
        self.assertEqual(set(deny["policyTypes"]), {"Ingress", "Egress"})
        for where, resource in workloads():
            labels = pod(resource)["metadata"]["labels"]
            self.assertLessEqual(deny["podSelector"]["matchLabels"].items(), labels.items(), where)
        server = find("NetworkPolicy", "companion-server")["spec"]
        self.assertEqual([rule["ports"] for rule in server["ingress"]], [[{"protocol": "TCP", "port": 8000}]])
        outside = {(port["protocol"], port["port"]) for rule in server["egress"] for port in rule["ports"]}
        self.assertEqual(outside, {("UDP", 53), ("TCP", 53), ("TCP", 443)})


class Server(Case):
    def setUp(self):
        self.deployment = find("Deployment", "companion")["spec"]
        self.spec = self.deployment["template"]["spec"]
        (self.container,) = self.spec["containers"]
        self.settings = find("ConfigMap", "companion-settings")["data"]

    def test_there_is_never_a_second_one(self):
        self.assertEqual(self.deployment["replicas"], 1)
        self.assertEqual(self.deployment["strategy"], {"type": "Recreate"})

    def test_running_turns_get_their_time(self):
        self.assertGreaterEqual(self.spec["terminationGracePeriodSeconds"], int(self.settings["DRAIN_SECONDS"]) + 10)

    def test_it_is_asked_the_right_questions(self):
        asked = {name: self.container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
        self.assertEqual(asked, {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"})
        self.assertEqual([port["containerPort"] for port in self.container["ports"]], [int(self.settings["PORT"])])

    def test_the_volumes_are_for_one_node(self):
        for name in ("companion-data", "companion-backups"):
            self.assertEqual(find("PersistentVolumeClaim", name)["spec"]["accessModes"], ["ReadWriteOnce"])

    def test_directories_lie_below_the_tops_of_the_volumes(self):
        mounted = {mount["mountPath"] for mount in self.container["volumeMounts"]}
        for name in ("DATA_DIR", "BACKUP_DIR"):
            self.assertIn(self.settings[name].rpartition("/")[0], mounted)


class Jobs(Case):
    def test_they_are_those_of_the_crontab(self):
        self.assertEqual({name: job["spec"]["schedule"] for name, job in cron_jobs().items()}, SCHEDULE)

    def test_a_job_neither_overlaps_itself_nor_waits_or_runs_for_ever(self):
        for name, job in cron_jobs().items():
            spec = job["spec"]
            self.assertEqual(spec["concurrencyPolicy"], "Forbid", name)
            self.assertEqual(spec["timeZone"], "Etc/UTC", name)
            # Below 10 s the controller, which looks every 10 s, may never start it.
            self.assertGreater(spec["startingDeadlineSeconds"], 10, name)
            self.assertGreater(spec["jobTemplate"]["spec"]["activeDeadlineSeconds"], 0, name)
            self.assertLessEqual(spec["successfulJobsHistoryLimit"], 3, name)
            self.assertLessEqual(spec["failedJobsHistoryLimit"], 3, name)

    def test_the_backup_ends_before_the_cleanup_begins(self):
        self.assertLess(cron_jobs()["backup-db"]["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"], 3600)

    def test_what_only_a_person_can_mend_is_not_retried(self):
        jobs = [job["spec"]["jobTemplate"]["spec"] for job in cron_jobs().values()]
        for job in [*jobs, *(find("Job", "companion-restore", name)["spec"] for name in RESTORES)]:
            (container,) = job["template"]["spec"]["containers"]
            failing = [rule for rule in job["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
            # 3 of the backup is told once: a retry that succeeds would hide that most rows have gone.
            final = [2, 3, 4] if container["name"] == "backup-db" else [2, 4]
            codes = {"containerName": container["name"], "operator": "In", "values": final}
            self.assertEqual(failing, [{"action": "FailJob", "onExitCodes": codes}])
            self.assertIn(job["backoffLimit"], (1, 2))
            self.assertEqual(job["template"]["spec"]["restartPolicy"], "Never")

    def test_they_prefer_the_servers_node(self):
        server = find("Deployment", "companion")["spec"]["template"]["metadata"]["labels"]
        jobs = [job["spec"]["jobTemplate"]["spec"] for job in cron_jobs().values()]
        for job in [*jobs, *(find("Job", "companion-restore", name)["spec"] for name in RESTORES)]:
            (preferred,) = job["template"]["spec"]["affinity"]["podAffinity"][
                "preferredDuringSchedulingIgnoredDuringExecution"
            ]
            term = preferred["podAffinityTerm"]
            self.assertEqual(term["topologyKey"], "kubernetes.io/hostname")
            self.assertLessEqual(term["labelSelector"]["matchLabels"].items(), server.items())

    def test_they_see_what_the_server_sees(self):
        (server,) = find("Deployment", "companion")["spec"]["template"]["spec"]["containers"]
        for where, resource in workloads():
            if resource["kind"] in ("CronJob", "Job"):
                (container,) = pod(resource)["spec"]["containers"]
                for key in ("image", "envFrom"):
                    self.assertEqual(container[key], server[key], where)
                more = [mount for mount in container["volumeMounts"] if mount not in server["volumeMounts"]]
                self.assertEqual([mount["name"] for mount in more], ["identity"] if "encrypted" in where else [], where)
                self.assertEqual(len(container["volumeMounts"]), len(server["volumeMounts"]) + len(more), where)

    def test_the_server_alone_is_given_the_tokens_and_starts_without_them(self):
        for where, resource in workloads():
            for container in pod(resource)["spec"]["containers"]:
                given = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container.get("env", []) if "valueFrom" in one}
                expected = {
                    name: {"name": "companion-tokens", "key": name, "optional": True}
                    for name in SECRETS
                }
                self.assertEqual(given, expected if container["name"] == "server" else {}, where)
        self.assertIn("create secret generic companion-tokens", (PLACE.parent / "README.md").read_text())

    def test_the_restore_asks_nobody(self):
        (container,) = find("Job", "companion-restore", "restore")["spec"]["template"]["spec"]["containers"]
        self.assertEqual(container["command"], ["companion-maint", "restore-db", "latest", "--yes", "--json"])

    def test_the_restore_of_an_encrypted_backup_is_the_same_with_a_key(self):
        spec = find("Job", "companion-restore", "restore-encrypted")["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        (plain,) = find("Job", "companion-restore", "restore")["spec"]["template"]["spec"]["containers"]
        identity = ["--identity", "/identity/identity"]
        self.assertEqual([word for word in container["command"] if word not in identity], plain["command"])
        self.assertIn(" ".join(identity), " ".join(container["command"]))
        (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "identity"]
        self.assertEqual(mount, {"name": "identity", "mountPath": "/identity", "readOnly": True})
        (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "identity"]
        # The group is the pod's fsGroup, so the user of the job can read it.
        self.assertEqual(volume["secret"], {"secretName": "companion-backup-identity", "defaultMode": 0o440})
        told = (PLACE / "restore-encrypted/kustomization.yaml").read_text()
        self.assertIn("create secret generic companion-backup-identity --from-file=identity=", told)

    def test_no_job_of_a_schedule_is_given_the_key(self):
        base = "".join(path.read_text() for path in (PLACE / "base").iterdir())
        self.assertNotIn("--identity", base)
        self.assertNotIn("kind: Secret", base)


if __name__ == "__main__":
    unittest.main()
