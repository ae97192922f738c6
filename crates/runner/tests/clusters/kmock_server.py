"""A Kubernetes API server for tests: kmock's emulator, with what it leaves out by design.

kmock keeps objects and serves lists, watches and patches. Added here: resource versions and their preconditions,
generations, the status subresource, strategic merge of containers by name, dry runs, faults on command, and a small
controller that moves Deployments and Rollouts on as the real ones do. Commands come as JSON lines on stdin, each is
answered by one line on stdout; the first line of stdout is the address.
"""
import asyncio
import copy
import hashlib
import json
import sys

import aiohttp.web
import kmock
from kmock import action

APPS = kmock.resource('apps', 'v1', 'deployments')
SETS = kmock.resource('apps', 'v1', 'replicasets')
ROLLOUTS = kmock.resource('argoproj.io', 'v1alpha1', 'rollouts')
PODS = kmock.resource('', 'v1', 'pods')
NS = 'shop'


def merge(old, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = merge(new.get(key), value)
    return new


def strategic(old, patch):
    """What the API server does with the containers of a pod template, which it knows to be named."""
    patch = copy.deepcopy(patch)
    spec = patch.get('spec', {}).get('template', {}).get('spec', {})
    if 'containers' in spec:
        whole = copy.deepcopy(old['spec']['template']['spec']['containers'])
        for change in spec['containers']:
            for container in whole:
                if container['name'] == change['name']:
                    container.update(change)
        spec['containers'] = whole
    return merge(old, patch)


def difference(old, new):
    """The merge patch from one to the other."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    gone = {key: None for key in old if key not in new}
    return gone | {k: difference(old.get(k), v) for k, v in new.items() if old.get(k) != v or k not in old}


def status(code, message):
    body = {'kind': 'Status', 'apiVersion': 'v1', 'status': 'Failure', 'code': code, 'message': message}
    headers = {'Retry-After': '1'} if code == 429 else {}
    return aiohttp.web.json_response(body, status=code, headers=headers)


def condition(kind, value, reason='', message=''):
    return {'type': kind, 'status': value, 'reason': reason, 'message': message}


class Server(kmock.KubernetesEmulator):
    version = 100
    down = False
    dozes = False
    expire = 0

    def setup(self):
        self.faults, self.watches, self.log = [], set(), []

    def stamp(self, obj):
        Server.version += 1
        obj['metadata']['resourceVersion'] = str(Server.version)
        return obj

    async def put(self, resource, name, obj):
        key = (resource, NS, name)
        async with self._lock:
            known = key in self._objects and not self._objects[key].deleted
            obj = self.stamp(copy.deepcopy(obj))
            if known:
                self._objects[key].patch(difference(self._objects[key].raw, obj))
            else:
                self._objects[key] = obj
            await self._buses[resource].put({'type': 'MODIFIED' if known else 'ADDED', 'object': obj})

    async def drop(self, resource, name):
        key = (resource, NS, name)
        async with self._lock:
            if key in self._objects and not self._objects[key].deleted:
                raw = self._objects[key].raw
                self._objects[key].delete()
                await self._buses[resource].put({'type': 'DELETED', 'object': raw})

    def all(self, resource):
        return [copy.deepcopy(o.raw) for (r, _, _), o in self._objects.items() if r == resource and not o.deleted]

    async def _handle(self, request):
        verb = {action.UPDATE: 'patch', action.LIST: 'list', action.WATCH: 'watch', action.FETCH: 'get'}.get(request.action, '')
        plural = request.resource.plural if request.resource else ''
        sub = f'/{request.subresource}' if request.subresource else ''
        entry = {'verb': verb, 'resource': plural + sub, 'query': dict(request.params),
                 'type': request.headers.get('Content-Type', ''), 'body': request.data,
                 'token': request.headers.get('Authorization', '')}
        self.log.append(entry)
        if self.down:
            return status(503, 'the server is down')
        for fault in self.faults:
            if fault['verb'] == verb and fault['resource'] == plural + sub and fault['times'] > 0:
                fault['times'] -= 1
                return status(fault['status'], fault.get('message', 'a fault'))
        if verb == 'watch':
            if self.expire:
                self.expire -= 1
                line = {'type': 'ERROR', 'object': {'kind': 'Status', 'code': 410, 'reason': 'Expired', 'message': 'too old resource version'}}
                return aiohttp.web.Response(text=json.dumps(line) + '\n')
            self.watches.add(asyncio.current_task())
        if verb == 'patch':
            refused = await self.patched(request)
            if refused is not None:
                return refused
        return await super()._handle(request)

    async def patched(self, request):
        """Turns a patch into what the object becomes, as the API server does; kmock stores it."""
        key = (request.resource, request.namespace, request.name)
        if key not in self._objects or self._objects[key].deleted:
            return status(404, f'{request.resource.plural} "{request.name}" not found')
        old, body = copy.deepcopy(self._objects[key].raw), json.loads(request.body)
        kind = request.headers.get('Content-Type', '')
        if kind == 'application/json-patch+json':
            for op in body:
                if op['op'] == 'test' and op['path'] == '/metadata/resourceVersion' and op['value'] != old['metadata']['resourceVersion']:
                    return status(422, 'the server rejected our request due to an error in our request')
            import jsonpatch
            new = jsonpatch.apply_patch(old, body)
        elif kind == 'application/strategic-merge-patch+json' and request.resource == ROLLOUTS:
            return status(415, 'the body of the request was in an unknown format')
        elif kind == 'application/strategic-merge-patch+json':
            new = strategic(old, body)
        elif kind == 'application/merge-patch+json':
            new = merge(old, body)
        else:
            return status(415, f'no patch: {kind}')
        wanted = new['metadata'].get('resourceVersion')
        if wanted != old['metadata']['resourceVersion']:
            self.log[-1]['refused'] = True
            return status(409, 'the object has been modified; please apply your changes to the latest version')
        if request.subresource == 'status':
            new = old | {'status': new.get('status', {})}
        else:
            new['status'] = old.get('status', {})
        new = copy.deepcopy(new)
        if new.get('spec') != old.get('spec'):
            new['metadata']['generation'] = old['metadata']['generation'] + 1
        if request.params.get('dryRun') == 'All':
            return aiohttp.web.json_response(new)
        object.__setattr__(request, 'data', difference(old, self.stamp(new)))
        return None

    # The controller.

    async def control(self):
        while True:
            await asyncio.sleep(0.03)
            if self.down or self.dozes:
                continue
            for thing in self.all(APPS):
                await self.deployment(thing)
            for thing in self.all(ROLLOUTS):
                await self.rollout(thing)

    async def sets(self, thing, label, revision_key):
        """The hash of the thing's template; its ReplicaSet is made when there is none, and is the newest revision."""
        template = copy.deepcopy(thing['spec']['template'])
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
        own = [s for s in self.all(SETS) if s['metadata']['ownerReferences'][0]['uid'] == thing['metadata']['uid']]
        newest = max([int(s['metadata']['annotations'][revision_key]) for s in own], default=0)
        name = f"{thing['metadata']['name']}-{digest}"
        known = next((s for s in own if s['metadata']['name'] == name), None)
        if known is None or int(known['metadata']['annotations'][revision_key]) < newest:
            template['metadata'].setdefault('labels', {})[label] = digest
            await self.put(SETS, name, {
                'metadata': {'name': name, 'namespace': NS, 'labels': {label: digest}, 'annotations': {revision_key: str(newest + 1)},
                             'ownerReferences': [{'controller': True, 'uid': thing['metadata']['uid'], 'name': thing['metadata']['name']}]},
                'spec': {'template': template}})
        return digest

    async def pods(self, thing, label, wanted):
        """`wanted` is how many pods of each hash there are, and whether they get ready."""
        have = {}
        for pod in self.all(PODS):
            have.setdefault(pod['metadata']['labels'][label], []).append(pod['metadata']['name'])
        for digest, (count, ready) in wanted.items():
            for i in range(count):
                name = f"{thing['metadata']['name']}-{digest}-{i}"
                if name in have.get(digest, []):
                    continue
                state = {'running': {}} if ready else {'waiting': {'reason': 'ImagePullBackOff', 'message': 'no such image'}}
                await self.put(PODS, name, {
                    'metadata': {'name': name, 'namespace': NS, 'labels': {label: digest}},
                    'status': {'phase': 'Running' if ready else 'Pending', 'conditions': [condition('Ready', 'True' if ready else 'False')],
                               'containerStatuses': [{'name': 'web', 'restartCount': 0, 'state': state}]}})
        for digest, names in have.items():
            for name in sorted(names)[wanted.get(digest, (0, True))[0]:]:
                await self.drop(PODS, name)

    @staticmethod
    def good(thing):
        return not any('broken' in c['image'] for c in thing['spec']['template']['spec']['containers'])

    async def save(self, thing, was):
        """Writes the status, unless somebody wrote in between."""
        resource = ROLLOUTS if thing['kind'] == 'Rollout' else APPS
        now = self._objects[(resource, NS, thing['metadata']['name'])].raw
        if thing['status'] != was and now['metadata']['resourceVersion'] == thing['metadata']['resourceVersion']:
            await self.put(resource, thing['metadata']['name'], thing)

    async def deployment(self, thing):
        was = copy.deepcopy(thing.get('status', {}))
        st, n = thing.setdefault('status', {}), thing['spec']['replicas']
        label = 'pod-template-hash'
        digest = await self.sets(thing, label, 'deployment.kubernetes.io/revision')
        if st.get('hash') != digest:
            st.update(hash=digest, old=st.get('hash', ''), updatedReplicas=0, ticks=0, conditions=[])
        st['observedGeneration'] = thing['metadata']['generation']
        good = self.good(thing)
        if thing['spec'].get('paused'):
            return await self.save(thing, was)
        st['ticks'] = min(st['ticks'] + 1, 10)
        if good:
            st['updatedReplicas'] = min(n, st['updatedReplicas'] + 1)
            left = n - st['updatedReplicas']
            st.update(replicas=n, availableReplicas=n)
        else:
            left = n
            st.update(replicas=n + 1, updatedReplicas=1, availableReplicas=n)
            if st['ticks'] >= 10:
                st['conditions'] = [condition('Progressing', 'False', 'ProgressDeadlineExceeded', 'ReplicaSet has timed out progressing.')]
        await self.pods(thing, label, {st['old']: (left, True), digest: (st['updatedReplicas'], good)})
        await self.save(thing, was)

    async def rollout(self, thing):
        was = copy.deepcopy(thing.get('status', {}))
        st, n = thing.setdefault('status', {}), thing['spec']['replicas']
        steps, label = thing['spec']['strategy']['canary']['steps'], 'rollouts-pod-template-hash'
        digest = await self.sets(thing, label, 'rollout.argoproj.io/revision')
        if st.get('currentPodHash') != digest:
            for key in ('abort', 'promoteFull', 'controllerPause', 'pauseConditions'):
                st.pop(key, None)
            st.update(currentPodHash=digest, currentStepIndex=0, phase='Progressing', message='', weight=0)
        st['observedGeneration'] = str(thing['metadata']['generation'])
        stable, good = st.get('stableRS', ''), self.good(thing)
        if st.get('abort'):
            st.update(phase='Degraded', message='RolloutAborted: the rollout was aborted', currentStepIndex=0, weight=0)
        elif not stable or stable == digest or st.get('promoteFull'):
            st.update(stableRS=digest, phase='Healthy', message='', currentStepIndex=len(steps), weight=n)
            for key in ('promoteFull', 'controllerPause', 'pauseConditions'):
                st.pop(key, None)
        elif thing['spec'].get('paused'):
            st.update(phase='Paused', message='manually paused')
        elif not good:
            st.update(weight=1, ticks=min(st.get('ticks', 0) + 1, 10))
            if st['ticks'] >= 10:
                st.update(phase='Degraded', message='ProgressDeadlineExceeded: ReplicaSet has timed out progressing.')
        elif st['currentStepIndex'] >= len(steps):
            st.update(stableRS=digest, phase='Healthy', weight=n)
        else:
            step = steps[st['currentStepIndex']]
            if 'setWeight' in step:
                st['weight'] = max(1, n * step['setWeight'] // 100)
                st['currentStepIndex'] += 1
            elif st.get('controllerPause') and not st.get('pauseConditions'):
                st.pop('controllerPause')
                st['currentStepIndex'] += 1
                st.update(phase='Progressing', message='')
            elif not st.get('pauseConditions'):
                st.update(controllerPause=True, pauseConditions=[{'reason': 'CanaryPauseStep'}], phase='Paused', message='CanaryPauseStep')
        weight = st['weight']
        others = {stable: (n - weight, True)} if stable and stable != digest else {}
        await self.pods(thing, label, others | {digest: (weight, good)})
        await self.save(thing, was)

    async def obey(self, command):
        match command['do']:
            case 'create':
                thing = command['object']
                thing['metadata'].update(uid='uid-' + thing['metadata']['name'], generation=1)
                await self.put(ROLLOUTS if thing['kind'] == 'Rollout' else APPS, thing['metadata']['name'], thing)
            case 'touch':
                for resource in (APPS, ROLLOUTS):
                    for thing in self.all(resource):
                        thing['metadata'].setdefault('annotations', {}).update(command['annotations'])
                        await self.put(resource, thing['metadata']['name'], thing)
            case 'abort':
                for thing in self.all(ROLLOUTS):
                    thing['status']['abort'] = True
                    await self.put(ROLLOUTS, thing['metadata']['name'], thing)
            case 'fault':
                self.faults.append(command)
            case 'expire':
                self.expire += command['times']
            case 'drop':
                for task in self.watches:
                    task.cancel()
                self.watches.clear()
            case 'down' | 'up':
                self.down = command['do'] == 'down'
            case 'doze' | 'wake':
                self.dozes = command['do'] == 'doze'
            case 'log':
                return self.log
            case 'objects':
                return {'things': self.all(APPS) + self.all(ROLLOUTS), 'sets': self.all(SETS), 'pods': self.all(PODS)}
        return {}


async def main():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with Server() as server:
        server.setup()
        for resource in (APPS, SETS, ROLLOUTS, PODS):
            server.resources[resource] = {}
        async with kmock.Server(server) as listening:
            print(str(listening.url), flush=True)
            control = asyncio.create_task(server.control())
            while line := await reader.readline():
                print(json.dumps(await server.obey(json.loads(line)), default=str), flush=True)
                if control.done():
                    control.result()
            control.cancel()


asyncio.run(main())
