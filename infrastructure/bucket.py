"""The bucket that files are kept in: made, where it is missing, when Chancery is installed."""

import time

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from infrastructure.object_parts import StoreUnavailable
from infrastructure.settings import Settings

THERE = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


def client(settings: Settings) -> Minio:
    """One that does not wait long for an answer."""
    return Minio(
        settings.s3_endpoint,
        settings.s3_access_key,
        settings.s3_secret_key,
        secure=settings.s3_secure,
        region=settings.s3_region,
        http_client=urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=5), retries=False),
    )


def make(settings: Settings, *, patience: float = 60) -> bool:
    """Whether it had to be made; a server that has just been started may answer within `patience` seconds.

    Raises StoreUnavailable.
    """
    asking = client(settings)
    deadline = time.monotonic() + patience
    while True:
        try:
            if asking.bucket_exists(settings.s3_bucket):
                return False
            asking.make_bucket(settings.s3_bucket, settings.s3_region)
        except S3Error as error:
            if error.code in THERE:
                return False
            raise StoreUnavailable(f"{settings.s3_endpoint} refuses: {error.code}") from None
        except (MinioException, HTTPError, OSError) as error:
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"{settings.s3_endpoint} does not answer: {type(error).__name__}"
                ) from None
            time.sleep(0.5)
        else:
            return True
