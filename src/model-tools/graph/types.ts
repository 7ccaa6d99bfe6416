/** Element types of ONNX tensors (TensorProto.DataType) that faced handles. */
export type DataType =
  | 'float32'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'bool'
  | 'float16'
  | 'float64'
  | 'uint32'
  | 'uint64';

/** A constant: its elements row-major and little-endian. Tensors are values: they are replaced, never written to. */
export interface Tensor {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

export type Attribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] };

/** One operation. An empty input name is an optional input that is left out. */
export interface Node {
  name: string;
  op: string;
  /** '' is the standard's own domain. */
  domain: string;
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
}

/** A dimension: a number, a name that may stand for any number, or unknown. */
export type Dimension = number | string | null;

export interface ValueInfo {
  name: string;
  /** Null leaves type and shape to be inferred by who loads the file (outputs only). */
  type: DataType | null;
  dims: Dimension[];
}

/** A network as the commands work on it. Nodes stand in topological order. */
export interface Graph {
  name: string;
  nodes: Node[];
  initializers: Map<string, Tensor>;
  /** Without the initializers, which opset 8 and older repeat here. */
  inputs: ValueInfo[];
  outputs: ValueInfo[];
}

export interface Model {
  irVersion: number;
  /** Operator set versions by domain; '' is the standard's own. */
  opsets: Map<string, number>;
  graph: Graph;
  metadata: Map<string, string>;
}
