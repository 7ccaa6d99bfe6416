import assert from 'node:assert/strict';
import { encodeModel, type Model } from '../../src/model-tools/graph/index.js';

/** The model with `slope` moved to another file, by editing the protobuf as a hostile or lazy exporter would. */
export function withExternal(model: Model, location: string): Uint8Array {
  const slope = model.graph.initializers.get('slope');
  assert.ok(slope);
  model.graph.initializers.delete('slope');
  const rest = encodeModel(model);
  // ModelProto.graph = 7 { initializer = 5 { dims, dataType = 2, name = 8, externalData = 13, dataLocation = 14 } }:
  // protobuf merges a second occurrence of a message field into the first.
  const entry = bytes(
    13,
    Buffer.concat([bytes(1, Buffer.from('location')), bytes(2, Buffer.from(location))]),
  );
  const dims = Buffer.concat(slope.dims.map((dim) => Buffer.from([(1 << 3) | 0, dim])));
  const tensor = Buffer.concat([
    dims,
    Buffer.from([(2 << 3) | 0, 1]),
    bytes(8, Buffer.from('slope')),
    entry,
    Buffer.from([(14 << 3) | 0, 1]),
  ]);
  return Buffer.concat([rest, bytes(7, bytes(5, tensor))]);
}

function bytes(field: number, content: Buffer): Buffer {
  assert.ok(content.length < 16384);
  const length =
    content.length < 128 ? [content.length] : [(content.length & 127) | 128, content.length >> 7];
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...length]), content]);
}
