"""What the layers and models of the zoo share with Keras' registry.

The bar for this file: used by two models or more. A layer used by one model lives in
that model's file, where its only reader will find it.
"""

import keras

#: Lets `keras.saving.load_model` find a class by name once its module is imported.
register = keras.saving.register_keras_serializable(package="zoo")
