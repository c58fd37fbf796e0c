"""Plays AWS for the cluster: Secrets Manager, IAM and STS are moto's, the agent of Pod Identity is this file's.

Who may read what is what Terraform plans: its role with its policy, its association and the conditions of its trust. All
of it listens on STOA_CLUSTER_HOST, which this machine, the node and its pods reach, and nobody else.
"""

from __future__ import annotations

import http.server
import json
import logging
import os
import pathlib
import ssl
import subprocess
import threading

import boto3
import moto.settings
from moto.core.responses import BaseResponse
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.sts.models import sts_backends
from werkzeug.exceptions import HTTPException

from tests.cluster.stand_in import Api

AUDIENCE = "pods.eks.amazonaws.com"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
CREDENTIALS_SECONDS = 3600


def resource(answer: SecretsManagerResponse) -> str:
    """What a policy is asked about. moto judges `*` for this service, which no pattern of ours matches."""
    name = answer._get_param("SecretId") or ""
    return name if name.startswith("arn:") else f"arn:aws:secretsmanager:{answer.region}:{answer.current_account}:secret:{name}-abcdef"


def judged(answer: SecretsManagerResponse, asked: str) -> None:
    """moto refuses in XML, which clients of this service cannot read."""
    try:
        BaseResponse._authenticate_and_authorize_normal_action(answer, asked)
    except HTTPException as refusal:
        raise refusal.to_json() from None


class Planned:
    """Of the plan of an environment: the names of its secrets, and what a workload of the cluster may do."""

    def __init__(self, plan: dict, workload: str):
        changes = [(one["type"], one.get("index"), one["change"]["after"]) for one in plan["resource_changes"]]
        self.secrets = {after["name"]: after for kind, _, after in changes if kind == "aws_secretsmanager_secret"}

        def only(kind: str) -> dict:
            [found] = [after for kind_of, index, after in changes if (kind_of, index) == (kind, workload)]
            return found

        self.role, self.association = only("aws_iam_role"), only("aws_eks_pod_identity_association")
        self.policy = only("aws_iam_role_policy")["policy"]
        [trust] = json.loads(self.role["assume_role_policy"])["Statement"]
        assert trust["Principal"] == {"Service": AUDIENCE} and "sts:AssumeRole" in trust["Action"]
        self.conditions = trust["Condition"]["StringEquals"]
        self.account = self.conditions["aws:SourceAccount"]


class Cloud:
    """An account as Terraform would leave it: secrets without values, their copies, and the role of a workload."""

    def __init__(self, planned: Planned, region: str):
        self.planned, self.region = planned, region
        self.address = os.environ["STOA_CLUSTER_HOST"]
        # Whoever asks, it is this account's.
        os.environ["MOTO_ACCOUNT_ID"] = planned.account
        SecretsManagerResponse._determine_resource, SecretsManagerResponse._authenticate_and_authorize_normal_action = resource, judged
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.server = ThreadedMotoServer(self.address, 0, verbose=False)
        self.server.start()
        self.url = f"http://{self.address}:{self.server.get_host_and_port()[1]}"
        self.operator = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
        iam = self.client("iam")
        iam.create_user(UserName="operator")
        iam.put_user_policy(UserName="operator", PolicyName="everything", PolicyDocument=json.dumps(EVERYTHING))
        key = iam.create_access_key(UserName="operator")["AccessKey"]
        self.operator = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        # From here on signatures and policies are judged.
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        self.admit(planned)
        self.manager = self.client("secretsmanager")
        for name in planned.secrets:
            self.make(name)

    def client(self, service: str):
        return boto3.client(service, endpoint_url=self.url, region_name=self.region, aws_access_key_id=self.operator["AWS_ACCESS_KEY_ID"],
                            aws_secret_access_key=self.operator["AWS_SECRET_ACCESS_KEY"])

    def admit(self, planned: Planned) -> None:
        """The role of a plan, with its policy."""
        iam, name = self.client("iam"), planned.role["name"]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=planned.role["assume_role_policy"])
        iam.put_role_policy(RoleName=name, PolicyName="planned", PolicyDocument=planned.policy)

    def fill(self, checkout: pathlib.Path, folder: pathlib.Path, environment: str, python: str) -> str:
        """As an operator does it."""
        return subprocess.run([python, checkout / "deploy/terraform/fill-secrets", folder, environment, "--region", self.region], check=True, text=True,
                              stdout=subprocess.PIPE, env=os.environ | self.operator | {"AWS_ENDPOINT_URL": self.url}).stdout

    def copies(self, name: str) -> list[str]:
        """The regions that the plan copies it to."""
        return [copy["region"] for copy in self.planned.secrets[name]["replica"]]

    def make(self, name: str, **value: str) -> None:
        self.manager.create_secret(Name=name, AddReplicaRegions=[{"Region": region} for region in self.copies(name)], **value)

    def lose(self, name: str) -> None:
        """With its copies, without which it cannot be deleted."""
        self.manager.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=self.copies(name))
        self.manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)

    def value(self, name: str) -> str:
        return self.manager.get_secret_value(SecretId=name)["SecretString"]

    def turn(self, name: str, value: str) -> None:
        self.manager.put_secret_value(SecretId=name, SecretString=value)

    def stop(self) -> None:
        self.server.stop()
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
        del SecretsManagerResponse._determine_resource, SecretsManagerResponse._authenticate_and_authorize_normal_action, os.environ["MOTO_ACCOUNT_ID"]


class Agent:
    """Pod Identity's: credentials of the planned role for the pod whose token the API server knows, and for no other."""

    def __init__(self, cloud: Cloud, folder: pathlib.Path):
        self.cloud, self.planned, self.api = cloud, cloud.planned, Api(os.environ["KUBECONFIG"])
        self.given: list[str] = []
        self.refused: list[str] = []
        self.forged = False
        pair = [folder / "agent.key", folder / "agent.crt"]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=agent",
                        "-addext", f"subjectAltName=IP:{cloud.address}", "-keyout", pair[0], "-out", pair[1]], check=True, stderr=subprocess.DEVNULL)
        self.certificate = pair[1].read_text()
        self.server = http.server.ThreadingHTTPServer((cloud.address, 0), self.handler())
        # The real one answers without TLS at 169.254.170.23, an address that a client of AWS takes on trust.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair[1], pair[0])
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://{cloud.address}:{self.server.server_address[1]}/v1/credentials"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def handler(self) -> type:
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = agent.credentials(self.headers.get("Authorization", ""))
                body = json.dumps(answer or {"message": "no association"}).encode()
                self.send_response(200 if answer else 403)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                """Says nothing."""

        return Handler

    def who(self, token: str) -> str:
        """NAMESPACE:ACCOUNT, or nothing for a token that is not for this agent."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token, "audiences": [AUDIENCE]}}
        state = self.api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)["status"]
        return state["user"]["username"].removeprefix("system:serviceaccount:") if state.get("authenticated") else ""

    def credentials(self, token: str) -> dict | None:
        planned, caller = self.planned, self.who(token)
        namespace, _, account = caller.partition(":")
        said = {"aws:SourceAccount": planned.account, "aws:RequestTag/eks-cluster-name": planned.association["cluster_name"],
                "aws:RequestTag/kubernetes-namespace": namespace, "aws:RequestTag/kubernetes-service-account": account}
        associated = (planned.association["namespace"], planned.association["service_account"])
        if said != planned.conditions or (namespace, account) != associated:
            self.refused.append(caller)
            return None
        self.given.append(caller)
        # moto knows no service as a principal, so it is not asked whether this one may take the role: said above.
        taken = sts_backends[planned.account]["aws"].assume_role(
            region_name=self.cloud.region, role_session_name="pod", role_arn=f"arn:aws:iam::{planned.account}:role/{planned.role['name']}", policy="", duration=CREDENTIALS_SECONDS, external_id="")
        return {"AccessKeyId": taken.access_key_id, "SecretAccessKey": "forged" if self.forged else taken.secret_access_key, "Token": taken.session_token,
                "Expiration": taken.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"), "AccountId": planned.account}

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
