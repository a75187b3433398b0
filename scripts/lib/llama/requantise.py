"""Writes a GGUF file's weights anew as Q8_0: `requantise.py FROM TO`. For the comparison with llama.cpp only."""

import sys

import gguf
from gguf import GGMLQuantizationType as Type

source, target = sys.argv[1:]
reader = gguf.GGUFReader(source)
architecture = reader.fields["general.architecture"].contents()
writer = gguf.GGUFWriter(target, architecture)

# The writer sets these itself.
own = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture", "general.file_type"}
for name, field in reader.fields.items():
    if name not in own:
        kind = field.types[0]
        writer.add_key_value(name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)

for tensor in reader.tensors:
    weights = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    kind = Type.F32 if len(tensor.shape) == 1 else Type.Q8_0
    writer.add_tensor(tensor.name, gguf.quants.quantize(weights, kind), raw_dtype=kind)

writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
