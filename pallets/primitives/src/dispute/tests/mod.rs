mod evidence;
mod games;
mod world;
