"""senet.pytorch's names: SE's two layers stand in a Sequential, ``se.fc.0`` and ``se.fc.2``.

moskomule. 2017. https://github.com/moskomule/senet.pytorch: senet/se_module.py. Many other ports have them too.
"""

from attention.weights.key_names import Library, Spelling, libraries

libraries.register("moskomule/senet.pytorch")(Library((Spelling("se", "se", {"fc.0": "reduce", "fc.2": "expand"}),)))
