"""``engine models``: the list opens no bundle code until a command is called."""

from __future__ import annotations

from engine.cli.lazy import Entry, LazyGroup

group = LazyGroup(
    "models",
    {
        "list": Entry("engine.cli.model_commands:list_command", "The models that can be named, and where they lie."),
        "show": Entry("engine.cli.model_commands:show_command", "What a model was made for and how it measured."),
        "verify": Entry("engine.cli.model_commands:verify_command", "Check a model's files against its card."),
        "import": Entry("engine.cli.model_import:command", "Make an encoder of published ResNet or ConvNeXt weights."),
        "remove": Entry("engine.cli.model_commands:remove_command", "Delete a model of the user's own."),
        "export-onnx": Entry("engine.cli.model_commands:export_command", "Write a model as an ONNX file."),
    },
    help="List, check, import, export and remove models (bundles: a folder with model.safetensors and card.json).",
)
