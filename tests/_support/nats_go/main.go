// The official Go client behind one line of JSON for each call: ["command", "argument", …] in, {"value": …} or {"error": "…"} out.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

type command func(ctx context.Context, js jetstream.JetStream, args []string) (any, error)

var commands = map[string]command{
	"objects.create": func(ctx context.Context, js jetstream.JetStream, args []string) (any, error) {
		var config jetstream.ObjectStoreConfig
		if err := json.Unmarshal([]byte(args[0]), &config); err != nil {
			return nil, err
		}
		_, err := js.CreateObjectStore(ctx, config)
		return nil, err
	},
	"objects.status": withObjects(func(ctx context.Context, store jetstream.ObjectStore, _ []string) (any, error) {
		status, err := store.Status(ctx)
		if err != nil {
			return nil, err
		}
		return map[string]any{
			"bucket": status.Bucket(), "description": status.Description(), "ttl": status.TTL().Milliseconds(),
			"storage": status.Storage().String(), "replicas": status.Replicas(), "sealed": status.Sealed(),
			"compression": status.IsCompressed(), "metadata": status.Metadata(),
		}, nil
	}),
	"objects.put": withObjects(func(ctx context.Context, store jetstream.ObjectStore, args []string) (any, error) {
		var meta jetstream.ObjectMeta
		if err := json.Unmarshal([]byte(args[0]), &meta); err != nil {
			return nil, err
		}
		file, err := os.Open(args[1])
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return infoOf(store.Put(ctx, meta, file))
	}),
	"objects.get": withObjects(func(ctx context.Context, store jetstream.ObjectStore, args []string) (any, error) {
		data, err := store.GetBytes(ctx, args[0])
		if err != nil {
			return nil, err
		}
		return nil, os.WriteFile(args[1], data, 0o600)
	}),
	"objects.info": withObjects(func(ctx context.Context, store jetstream.ObjectStore, args []string) (any, error) {
		return infoOf(store.GetInfo(ctx, args[0]))
	}),
	"objects.list": withObjects(func(ctx context.Context, store jetstream.ObjectStore, _ []string) (any, error) {
		infos, err := store.List(ctx)
		names := []string{}
		for _, info := range infos {
			names = append(names, info.Name)
		}
		return names, err
	}),
	"objects.update": withObjects(func(ctx context.Context, store jetstream.ObjectStore, args []string) (any, error) {
		var meta jetstream.ObjectMeta
		if err := json.Unmarshal([]byte(args[1]), &meta); err != nil {
			return nil, err
		}
		return nil, store.UpdateMeta(ctx, args[0], meta)
	}),
	"objects.link": withObjects(func(ctx context.Context, store jetstream.ObjectStore, args []string) (any, error) {
		info, err := store.GetInfo(ctx, args[1])
		if err != nil {
			return nil, err
		}
		return infoOf(store.AddLink(ctx, args[0], info))
	}),
	"objects.delete": withObjects(func(ctx context.Context, store jetstream.ObjectStore, args []string) (any, error) {
		return nil, store.Delete(ctx, args[0])
	}),
	"objects.seal": withObjects(func(ctx context.Context, store jetstream.ObjectStore, _ []string) (any, error) {
		return nil, store.Seal(ctx)
	}),
	// Watches the bucket; "updates" as an argument: what changes from now on.
	"objects.watch":   withObjects(watchObjects),
	"objects.watched": watchedObjects,
	"kv.get": withKeys(func(ctx context.Context, kv jetstream.KeyValue, args []string) (any, error) {
		entry, err := kv.Get(ctx, args[0])
		if err != nil {
			return nil, err
		}
		return string(entry.Value()), nil
	}),
	"kv.list": withKeys(func(ctx context.Context, kv jetstream.KeyValue, _ []string) (any, error) {
		lister, err := kv.ListKeys(ctx)
		if err != nil {
			return nil, err
		}
		keys := []string{}
		for key := range lister.Keys() {
			keys = append(keys, key)
		}
		return keys, nil
	}),
	"kv.history": withKeys(func(ctx context.Context, kv jetstream.KeyValue, args []string) (any, error) {
		entries, err := kv.History(ctx, args[0])
		operations := []string{}
		for _, entry := range entries {
			operations = append(operations, entry.Operation().String())
		}
		return operations, err
	}),
	"kv.put": withKeys(func(ctx context.Context, kv jetstream.KeyValue, args []string) (any, error) {
		return revisionOf(kv.Put(ctx, args[0], []byte(args[1])))
	}),
	"kv.create": withKeys(func(ctx context.Context, kv jetstream.KeyValue, args []string) (any, error) {
		return revisionOf(kv.Create(ctx, args[0], []byte(args[1])))
	}),
	"kv.update": withKeys(func(ctx context.Context, kv jetstream.KeyValue, args []string) (any, error) {
		var revision uint64
		if _, err := fmt.Sscan(args[2], &revision); err != nil {
			return nil, err
		}
		return revisionOf(kv.Update(ctx, args[0], []byte(args[1]), revision))
	}),
	"kv.delete": withKeys(func(ctx context.Context, kv jetstream.KeyValue, args []string) (any, error) {
		return nil, kv.Delete(ctx, args[0])
	}),
	"kv.purge": withKeys(func(ctx context.Context, kv jetstream.KeyValue, args []string) (any, error) {
		return nil, kv.Purge(ctx, args[0])
	}),
}

func revisionOf(revision uint64, err error) (any, error) {
	return revision, err
}

func infoOf(info *jetstream.ObjectInfo, err error) (any, error) {
	return info, err
}

func withObjects(run func(context.Context, jetstream.ObjectStore, []string) (any, error)) command {
	return func(ctx context.Context, js jetstream.JetStream, args []string) (any, error) {
		store, err := js.ObjectStore(ctx, args[0])
		if err != nil {
			return nil, err
		}
		return run(ctx, store, args[1:])
	}
}

func withKeys(run func(context.Context, jetstream.KeyValue, []string) (any, error)) command {
	return func(ctx context.Context, js jetstream.JetStream, args []string) (any, error) {
		kv, err := js.KeyValue(ctx, args[0])
		if err != nil {
			return nil, err
		}
		return run(ctx, kv, args[1:])
	}
}

var watcher jetstream.ObjectWatcher

func watchObjects(ctx context.Context, store jetstream.ObjectStore, args []string) (any, error) {
	options := []jetstream.WatchOpt{}
	if len(args) > 0 {
		options = append(options, jetstream.UpdatesOnly())
	}
	var err error
	watcher, err = store.Watch(ctx, options...)
	return nil, err
}

// Waits for as many updates as its argument behind the bucket says, ends the watch, and tells their digests; a null stands behind the initial ones.
func watchedObjects(_ context.Context, _ jetstream.JetStream, args []string) (any, error) {
	var count int
	if _, err := fmt.Sscan(args[1], &count); err != nil {
		return nil, err
	}
	digests := []any{}
	for range count {
		if info := <-watcher.Updates(); info == nil {
			digests = append(digests, nil)
		} else {
			digests = append(digests, info.Digest)
		}
	}
	return digests, watcher.Stop()
}

func call(ctx context.Context, js jetstream.JetStream, line []byte) (any, error) {
	var words []string
	if err := json.Unmarshal(line, &words); err != nil {
		return nil, err
	}
	run, known := commands[words[0]]
	if !known {
		return nil, fmt.Errorf("unknown command %q", words[0])
	}
	return run(ctx, js, words[1:])
}

func main() {
	nc, err := nats.Connect(os.Args[1])
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		panic(err)
	}
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		answer := map[string]any{}
		if value, err := call(context.Background(), js, lines.Bytes()); err != nil {
			answer["error"] = err.Error()
		} else {
			answer["value"] = value
		}
		if err := out.Encode(answer); err != nil {
			panic(err)
		}
	}
}
