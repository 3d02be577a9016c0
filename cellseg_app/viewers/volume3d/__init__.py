"""The volume in 3D (vispy); all of it optional, since a machine may lack OpenGL."""
