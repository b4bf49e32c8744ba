"""A real S3 API for tests: OpenStack Swift with its s3api middleware, all of its servers in one process.

    /usr/bin/python3 s3-server.py DIRECTORY PORT USER SECRET_KEY [conditional]

Listens on PORT of 127.0.0.1 (0: any free one), prints the port in use as one line, and serves until standard input ends. USER is
`account:name` and the access key. Listings are SQLite files in DIRECTORY; object bodies stay in memory. Signatures (version 4) are checked.
With `conditional` it takes `If-None-Match: *` on PUT, which Swift can and its s3api refuses with 501.
"""

import eventlet

eventlet.monkey_patch()

import os
import sys
from array import array

from eventlet import wsgi
from swift.common import utils

directory, port, user, secret_key = sys.argv[1:5]
is_conditional = sys.argv[5:] == ['conditional']

PROXY = """
[DEFAULT]
swift_dir = {directory}
[pipeline:main]
pipeline = catch_errors no-cache s3api tempauth bulk slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 30
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:no-cache]
paste.filter_factory = __main__:no_cache
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_{user} = {secret_key} .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
"""


class NoCache:
    """Stands where memcached would: remembers nothing."""

    def get(self, key, **_options):
        return None

    def set(self, key, value, **_options):
        pass

    def delete(self, key, **_options):
        pass


def no_cache(_global_conf, **_local_conf):
    def wrap(app):
        def call(environ, start_response):
            environ['swift.cache'] = NoCache()
            return app(environ, start_response)

        return call

    return wrap


def write(name, text):
    path = os.path.join(directory, name)
    with open(path, 'w') as file:
        file.write(text)
    return path


def serve(listener, app):
    from swift.common.http_protocol import SwiftHttpProtocol

    return eventlet.spawn(wsgi.server, listener, app, utils.NullLogger(), protocol=SwiftHttpProtocol)


def allow_conditional_puts():
    from swift.common.middleware.s3api.s3request import S3Request
    from swift.common.middleware.s3api.s3response import S3NotImplemented

    validate = S3Request._validate_headers

    def validate_but_conditions(self):
        try:
            validate(self)
        except S3NotImplemented:
            if 'If-None-Match' not in self.headers:
                raise

    S3Request._validate_headers = validate_but_conditions


def one_conditional_put_at_a_time(app):
    """As other services decide: Swift looks for the object before it takes the body, so that several could win."""
    turn = eventlet.semaphore.Semaphore()

    def call(environ, start_response):
        if 'HTTP_IF_NONE_MATCH' not in environ:
            return app(environ, start_response)
        with turn:
            return [b''.join(app(environ, start_response))]

    return call


def main():
    os.makedirs(os.path.join(directory, 'device'), exist_ok=True)
    hash_conf = '[swift-hash]\nswift_hash_path_suffix = tests\n'
    utils.SWIFT_CONF_FILE = write('swift.conf', hash_conf)
    utils.validate_hash_conf()

    # These read swift.conf when they are imported.
    from swift.account.server import AccountController
    from swift.common.ring import RingData
    from swift.common.wsgi import loadapp
    from swift.container.server import ContainerController
    from swift.obj.mem_server import ObjectController

    conf = {'devices': directory, 'swift_dir': directory, 'mount_check': 'false', 'fallocate_reserve': '0'}
    for name, controller in ('account', AccountController), ('container', ContainerController), ('object', ObjectController):
        listener = eventlet.listen(('127.0.0.1', 0))
        device = {'id': 0, 'zone': 0, 'device': 'device', 'ip': '127.0.0.1', 'port': listener.getsockname()[1]}
        RingData([array('H', [0])], [device], 32).save(os.path.join(directory, name + '.ring.gz'))
        serve(listener, controller(conf, logger=utils.get_logger(conf, name=name)))

    proxy_conf = write('proxy.conf', PROXY.format(directory=directory, user=user.replace(':', '_'), secret_key=secret_key))
    listener = eventlet.listen(('127.0.0.1', int(port)))
    app = loadapp(proxy_conf)
    if is_conditional:
        allow_conditional_puts()
        app = one_conditional_put_at_a_time(app)
    server = serve(listener, app)
    print(listener.getsockname()[1], flush=True)
    eventlet.tpool.execute(sys.stdin.read)
    server.kill()


main()
